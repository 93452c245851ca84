"""The forms in which each registered workflow is asked for, and all places in them where a worker can die."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from instances import workflows
from tests.cloud.cloud import Cloud
from tests.cloud.servers import NOTHING, WHOLE, Server, boot
from workers import probes, workflow
from workers.workflow import Step, Workflow

BEGIN_S = 90.0  # a real guest that is still booting hears its power button late
OFF = {**WHOLE, "guests": 0}
ENDS = {"ACTIVE": WHOLE, "SHUTOFF": OFF, "": NOTHING}
assert workflows


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way to ask for a workflow.

    before: the status of its server before, "" where there is none. ends: its status when all is well, "" for gone.
    skips: the steps that are none of this form's. calls: the driver calls of each step that changes something.
    """

    name: str
    kind: str
    ask: Callable[[Server], None]
    before: str
    ends: str
    calls: dict[str, tuple[str, ...]]
    skips: frozenset[str] = frozenset()

    @property
    def flow(self) -> Workflow:
        """Return its workflow."""
        return workflow.get(self.kind)

    @property
    def steps(self) -> list[Step]:
        """Return its steps."""
        return [step for step in self.flow.steps if step.name not in self.skips]

    @property
    def after_undo(self) -> str:
        """Return the status in which an undo leaves the server: as it was, or made on another node."""
        return self.before or self.ends

    def begin(self, cloud: Cloud) -> Server | None:
        """Return a server in the state from which this is asked for; None where this makes it."""
        if not self.before:
            return None
        server = boot(cloud)
        server.await_status("ACTIVE", BEGIN_S)
        if self.before == "SHUTOFF":
            server.act("os-stop")
            server.await_status("SHUTOFF", BEGIN_S)
        return server

    def accept(self, cloud: Cloud, server: Server | None) -> Server:
        """Ask for it; returns the server that it is about."""
        if server is None:
            return boot(cloud)
        self.ask(server)
        return server


def _stop(server: Server) -> None:
    server.act("os-stop")


def _start(server: Server) -> None:
    server.act("os-start")


def _reboot(server: Server) -> None:
    server.act("reboot", {"type": "SOFT"})


def _reboot_hard(server: Server) -> None:
    server.act("reboot", {"type": "HARD"})


FORMS = (
    Form(
        name="create", kind="create", ask=lambda _: None, before="", ends="ACTIVE",
        calls={"disks": ("create_disks",), "start": ("start", "guest")},
    ),
    Form(
        name="delete", kind="delete", ask=Server.delete, before="ACTIVE", ends="",
        calls={"clear": ("destroy", "remove_disks")},
    ),
    Form(
        name="start", kind="start", ask=_start, before="SHUTOFF", ends="ACTIVE", calls={"power_on": ("power_on",)}
    ),
    Form(
        name="stop", kind="stop", ask=_stop, before="ACTIVE", ends="SHUTOFF", calls={"ask": ("request_shutdown",)}
    ),
    Form(
        name="reboot", kind="reboot", ask=_reboot, before="ACTIVE", ends="ACTIVE", skips=frozenset({"reset"}),
        calls={"ask": ("request_shutdown",), "power_on": ("power_on",)},
    ),
    Form(
        name="reboot hard", kind="reboot", ask=_reboot_hard, before="ACTIVE", ends="ACTIVE",
        skips=frozenset({"ask", "await_off", "power_on"}), calls={"reset": ("reboot",)},
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A point of a form at which a worker is held: a gate, in a step that is done or undone."""

    form: Form
    step: str
    gate: str

    def __str__(self) -> str:
        """Return what tests call it."""
        return f"{self.form.name.replace(' ', '_')}-{self.gate}"


def places() -> Iterator[Place]:
    """Yield every point at which a worker can die while a step is done."""
    for form in FORMS:
        for step in form.steps:
            yield from (Place(form, step.name, f"{form.kind}.{step.name}.{point}") for point in probes.POINTS)
            for call in form.calls.get(step.name, ()):
                yield from (Place(form, step.name, f"{call}.{side}") for side in ("enter", "leave"))


def firsts() -> list[Place]:
    """Return the point before the effect of every step: one a step."""
    return [place for place in places() if place.gate.endswith(".taken")]


def undo_places() -> Iterator[Place]:
    """Yield every point at which a worker can die while a step is undone."""
    for form in FORMS:
        for step in form.steps:
            if step.undo is not None:
                for point in probes.POINTS:
                    yield Place(form, f"undo of {step.name}", f"{form.kind}.undo-{step.name}.{point}")
