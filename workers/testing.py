"""The fault harness: runs any operation by the ledger alone, in this process, with a fault aimed at a named point.

It stands in for the broker: it takes what dispatch would publish and runs it, as a worker would. Faults are aimed at
the engine's probes (`<kind>.<step>.<point>`), and each says afterwards whether it fired; one that did not is a failure
of the test. A crash throws away what a process holds in memory, as SIGKILL does.
"""

import enum
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from workers import cancel, clock, dispatch, probes, recovery, runner, workflow
from workers.models import ACTIVE, Operation
from workers.outcome import Outcome
from workers.process import BATON_S, PROCESS, Process
from workers.retry import StepFailed
from workers.route import Link
from workers.workflow import Workflow

MOST_LINKS = 500


class Crash(BaseException):
    """The worker process dies here."""


class Endless(AssertionError):
    """An operation did not end."""


@dataclass
class Fault:
    """Something that goes wrong at a probe, the first `times` times that it is reached: an error, or what act does."""

    point: str
    error: BaseException | None = None
    times: int = 1
    fired: int = 0
    act: Callable[[UUID], object] | None = None

    def strike(self, reached: str, operation_id: UUID) -> None:
        """Fire where the probe is ours."""
        if reached != self.point or self.fired >= self.times:
            return
        self.fired += 1
        if self.act is not None:
            self.act(operation_id)
        if self.error is not None:
            raise self.error


def crash(point: str, *, times: int = 1) -> Fault:
    """Return a fault that kills the worker at this point."""
    return Fault(point, Crash(), times)


def failure(point: str, *, retryable: bool, times: int = 1) -> Fault:
    """Return a fault that makes the step raise at this point."""
    return Fault(point, StepFailed(f"made to fail at {point}", retryable=retryable), times)


def cancelled(point: str) -> Fault:
    """Return a fault that cancels the operation at this point."""
    return Fault(point, act=lambda operation_id: cancel.cancel(operation_id, by="a test"))


class Delivery(enum.StrEnum):
    """What a broker does to the messages of an operation."""

    ONCE = "every link once"
    TWICE = "every link twice"
    AT_ONCE = "every link again while it runs"
    LOST = "every message lost, and rung again"
    LATE = "every link again after each later one, and after the end"
    REVERSED = "the links of each chain out of order"


@dataclass
class Drive:
    """Runs one operation to its end, with what the faults and the broker do to it.

    repeats: how many messages were lost, doubled or late, that a test may see that there were any.
    out_of_time_after: so many segments after which the operation's time is up, for one that would never end.
    """

    operation_id: UUID
    faults: list[Fault] = field(default_factory=list)
    delivery: Delivery = Delivery.ONCE
    out_of_time_after: int = MOST_LINKS
    repeats: int = 0
    links: list[str] = field(default_factory=list)
    _sent: list[Link] = field(default_factory=list)
    _current: Link | None = None

    def run(self) -> Operation:
        """Run the operation until it has ended; raises Endless."""
        with self._aimed():
            for count in range(MOST_LINKS):
                operation = Operation.objects.get(id=self.operation_id)
                if operation.state not in ACTIVE:
                    self.replay()
                    return operation
                if count >= self.out_of_time_after:
                    Operation.objects.filter(id=operation.id).update(deadline=1)
                    recovery.sweep()
                self._go_on(operation)
        raise Endless(f"{operation} is {operation.state} at step {operation.cursor} after {MOST_LINKS} links")

    def replay(self) -> None:
        """Deliver once more, to an operation that has ended, every message that it ever had: none may do anything."""
        for link in self._sent if self.delivery is Delivery.LATE else []:
            self._must_stop(link)

    def step(self) -> None:
        """Run the next segment of the operation, if it has not ended."""
        with self._aimed():
            operation = Operation.objects.get(id=self.operation_id)
            if operation.state in ACTIVE:
                self._go_on(operation)

    def _go_on(self, operation: Operation) -> None:
        _hurry(operation)
        links = dispatch.links_of(operation)
        if self.delivery is Delivery.LOST and operation.lease_token is None:
            self._lose(operation)
        if self.delivery is Delivery.REVERSED:
            for link in links[:0:-1]:
                self._must_stop(link)
        for link in links:
            outcome = self._run_link(link)
            if self.delivery is Delivery.TWICE:
                self._must_stop(link)
            if self.delivery is Delivery.LATE and self._run_earlier(link):
                return
            if outcome is not Outcome.NEXT:
                return
            if self.delivery is Delivery.LOST and self._lose_baton():
                return

    def _run_link(self, link: Link) -> Outcome:
        self.links.append(f"{link.direction} {link.cursor}")
        self._current = link
        try:
            return runner.run(self.operation_id, link.direction, link.cursor)
        except Crash:
            die()
            return Outcome.STOP
        finally:
            self._current = None

    def _must_stop(self, link: Link) -> None:
        outcome = runner.run(self.operation_id, link.direction, link.cursor)
        self.repeats += 1
        if outcome is not Outcome.STOP:
            raise AssertionError(f"{link} was not to run and came to {outcome}")

    def _run_earlier(self, link: Link) -> bool:
        """Deliver again all that came before; True where a new round made one of them right again."""
        earlier, self._sent = list(self._sent), [*dict.fromkeys([*self._sent, link])]
        for old in earlier:
            self.repeats += 1
            if self._run_link(old) is not Outcome.STOP:
                return True
        return False

    def _lose(self, operation: Operation) -> None:
        """Have the message be lost and time pass, and the sweeper ring again."""
        published = Operation.objects.filter(id=operation.id)
        published.update(dispatched_at=clock.now() - recovery.RING_ANYWAY_S - 1)
        recovery.sweep()
        if published.get().rings <= operation.rings:
            raise AssertionError(f"the sweeper did not ring again for {operation}")
        self.repeats += 1

    def _lose_baton(self) -> bool:
        """Have the next message of the chain be lost: its lease is given back. False where it needs none."""
        for baton in PROCESS._batons.values():
            baton.since_s -= 2 * BATON_S
        lost = bool(PROCESS._batons)
        PROCESS.drop_lost_batons()
        self.repeats += lost
        return lost

    @contextmanager
    def _aimed(self) -> Iterator[None]:
        def reached(point: str) -> None:
            if self.delivery is Delivery.AT_ONCE and self._current is not None:
                self._must_stop(self._current)
            for fault in self.faults:
                fault.strike(point, self.operation_id)

        with probes.installed(reached):
            yield


def die() -> None:
    """Lose what this process holds in memory, and have recovery find its leases as a new worker of the host would."""
    fresh = Process()
    PROCESS._batons, PROCESS._running, PROCESS._locked = fresh._batons, fresh._running, fresh._locked
    for operation in Operation.objects.filter(state__in=ACTIVE, lease_token__isnull=False):
        recovery.free(operation, "the worker died")


def _hurry(operation: Operation) -> None:
    """Let no back-off hold up a test: what waits for its time may run now."""
    Operation.objects.filter(id=operation.id, lease_token=None, run_after__gt=clock.now()).update(run_after=0)


def points(flow: Workflow) -> list[str]:
    """Return every probe that a forward run of the workflow can reach."""
    return [f"{flow.kind}.{step.name}.{point}" for step in flow.steps for point in probes.POINTS]


def undo_points(flow: Workflow) -> list[str]:
    """Return every probe that an undo of the workflow can reach."""
    return [
        f"{flow.kind}.undo-{step.name}.{point}"
        for step in flow.steps
        if step.undo is not None
        for point in probes.POINTS
    ]


def matrix() -> list[tuple[str, str, str]]:
    """Return (kind, fault, point) for every registered workflow: what the fault tests are generated from."""
    return [case for kind, flow in sorted(workflow.registered().items()) for case in _cases(kind, flow)]


def _cases(kind: str, flow: Workflow) -> Iterator[tuple[str, str, str]]:
    every, back = points(flow), undo_points(flow)
    for fault in ("crash", "overtaken by a delete") + (() if flow.keeps_trying else ("cancel",)):
        yield from ((kind, fault, point) for point in every)
    for fault in ("retryable", "permanent", "unknown error"):
        yield from ((kind, fault, point) for point in before_commit(every))
    for fault in ("unknown error always", "poison"):
        yield from ((kind, fault, point) for point in every if point.endswith(".taken"))
    for fault in ("crash in undo", "cancel in undo", "overtaken by a delete"):
        yield from ((kind, fault, point) for point in back)
    for fault in ("undo raises once", "undo raises always"):
        yield from ((kind, fault, point) for point in before_commit(back))
    yield from ((kind, "poison in undo", point) for point in back if point.endswith(".taken"))
    yield from ((kind, delivery.value, "") for delivery in Delivery if delivery is not Delivery.ONCE)
    if back:
        yield from (
            (kind, f"{delivery.value}, and undone", "")
            for delivery in Delivery
            if delivery is not Delivery.ONCE
        )
    if not flow.keeps_trying:
        yield (kind, "cancel", f"{kind}.accepted")


def before_commit(all_points: Iterable[str]) -> list[str]:
    """Return the points at which a step can still raise."""
    return [point for point in all_points if not point.endswith("committed")]
