"""How a workflow is declared: a table of steps, each with its undo beside it, and what its end writes.

The table of an action stands at the top of its file, so that the file reads as a list of steps.
"""

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

CONTROL = "control"
HOST = "host"


class Effect(enum.StrEnum):
    """Why a step may run twice."""

    CONVERGE = "converge"  # it looks, then makes it so
    ONCE_BY_MARKER = "once_by_marker"  # the operation's id is kept where the effect lives
    AT_LEAST_ONCE = "at_least_once"  # twice does no harm, for the reason that `why` gives


class HostDies(enum.StrEnum):
    """What becomes of an operation when its host is down; one that is being undone goes on without the host."""

    WAIT = "wait"  # for the host, until its time is up
    MOVE = "move"  # turned back without the host, which keeps its footprints, and begun anew elsewhere
    UNDO = "undo"  # turned back without the host
    LEAVE = "leave"  # goes on without the host's steps


@dataclass(frozen=True, slots=True)
class Trace:
    """A thing that a step is about to make, as its footprint will name it."""

    kind: str
    name: str


@dataclass(slots=True)
class Context:
    """All that a step is told; steps share nothing else."""

    operation_id: UUID
    kind: str
    subject_id: UUID
    epoch: int
    project_id: str
    user_id: str
    request_id: str
    host: str | None
    params: dict[str, Any]
    results: dict[str, Any]
    attempt: int = 1
    round: int = 1
    error: str = ""
    cancelled_by: str = ""
    leftovers: bool = False  # told to `undone`: an undo failed for good, so things remain
    started_at: float = 0.0
    deadline: float = 0.0  # when it is turned back, as it stood when this worker took it
    token: str = ""  # of the lease that the step runs under
    scratch: Any = None  # from a step's do to its record, in memory alone


@dataclass(frozen=True, slots=True)
class Wait:
    """A step's answer when it must look again later; it holds no lease meanwhile.

    slow: it waits for something long, such as a transfer; its next looks go through the host's slow queue.
    """

    after_s: float
    reason: str
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Again:
    """A workflow's answer after its undo: begin anew with these results kept."""

    results: dict[str, Any]


Do = Callable[[Context], dict[str, Any] | Wait | None]
Record = Callable[[Context, dict[str, Any]], None]
Undo = Callable[[Context], Wait | None]
UNDO_SHARE = 1 / 3  # of the time that an operation has: so much is kept for turning it back


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One action of an operation on one queue.

    do: the effect, outside any transaction; returns JSON kept under the step's name, or Wait.
    record: what is written in the transaction that ends the step; it may change ctx.host and the result.
    undo: takes the effect back from the step's inputs, for a step that was begun, finished or not; or answers Wait.
    leaves: the footprints, noted before `do` runs; no_undo: the reason where there is nothing to take back.
    when: from the parameters alone, whether the step is part of this operation.
    """

    name: str
    do: Do | None = None
    record: Record | None = None
    undo: Undo | None = None
    leaves: Callable[[Context], Iterable[Trace]] | None = None
    on: str = HOST
    effect: Effect = Effect.CONVERGE
    why: str = ""
    no_undo: str = ""
    when: Callable[[dict[str, Any]], bool] | None = None
    sets_host: bool = False
    attempts: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """An action as a table of steps.

    done: written in the transaction that ends the last step. undone: written in the one that ends the undo, and the
    operation is failed or cancelled. again: asked before, unless it is cancelled or something is left; Again begins
    anew. deadline_s: every operation has ended by then, undone if it must be; of its parameters where it depends on a
    size. keeps_trying: never undone (a delete goes on). makes_subject: the subject begins with this operation.
    ends_subject: and ends with the success of this one.
    host_dies: what becomes of it when its host is down; leave_host: written in the transaction that gives the host up.
    """

    kind: str
    steps: tuple[Step, ...]
    done: Callable[[Context], None]
    undone: Callable[[Context], None]
    deadline_s: float | Callable[[dict[str, Any]], float]
    again: Callable[[Context], Again | None] | None = None
    keeps_trying: bool = False
    makes_subject: bool = False
    ends_subject: bool = False
    host_dies: HostDies = HostDies.WAIT
    leave_host: Callable[[Context], None] | None = None

    def __post_init__(self) -> None:
        for step in self.steps:
            if step.undo is None and not step.no_undo and not self.keeps_trying:
                raise ValueError(f"{self.kind}.{step.name}: a step has an undo, or says in no_undo why not")
            if step.effect is Effect.AT_LEAST_ONCE and not step.why:
                raise ValueError(f"{self.kind}.{step.name}: at_least_once needs its reason in `why`")
        if (self.host_dies is HostDies.LEAVE) != self.keeps_trying:
            raise ValueError(f"{self.kind}: what keeps trying, and that alone, leaves a host that is down")
        if (self.host_dies is HostDies.MOVE) != (self.again is not None):
            raise ValueError(f"{self.kind}: what begins anew, and that alone, moves from a host that is down")

    def total_s(self, params: dict[str, Any]) -> float:
        """Return how long an operation with these parameters may take, its undo included."""
        return self.deadline_s(params) if callable(self.deadline_s) else self.deadline_s

    def undo_s(self, params: dict[str, Any]) -> float:
        """Return how much of that is kept for turning it back."""
        return 0.0 if self.keeps_trying else self.total_s(params) * UNDO_SHARE

    def forward_s(self, params: dict[str, Any]) -> float:
        """Return how long it may take before it is turned back."""
        return self.total_s(params) - self.undo_s(params)


_registry: dict[str, Workflow] = {}


def register(workflow: Workflow) -> Workflow:
    """Make the workflow known by its kind; raises ValueError where the kind is taken."""
    if _registry.setdefault(workflow.kind, workflow) is not workflow:
        raise ValueError(f"two workflows are called {workflow.kind}")
    return workflow


def get(kind: str) -> Workflow:
    """Return the workflow of this kind; raises KeyError."""
    return _registry[kind]


def find(kind: str) -> Workflow | None:
    """Return the workflow of this kind; None where only a newer version knows it."""
    return _registry.get(kind)


def registered() -> dict[str, Workflow]:
    """Return every workflow by its kind."""
    return dict(_registry)
