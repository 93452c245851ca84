"""The forms in which each registered workflow is asked for, and all places in them where a worker can die."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from instances import workflows
from tests.cloud.cloud import Cloud
from tests.cloud.servers import NOTHING, WHOLE, Server, boot
from workers import probes, workflow
from workers.workflow import Step, Workflow

BEGIN_S = 90.0  # a real guest that is still booting hears its power button late
OFF = {**WHOLE, "guests": 0}
ENDS = {"ACTIVE": WHOLE, "PAUSED": WHOLE, "SHUTOFF": OFF, "SUSPENDED": OFF, "": NOTHING}
BROUGHT_BY = {"SHUTOFF": "os-stop", "PAUSED": "pause", "SUSPENDED": "suspend"}
assert workflows


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way to ask for a workflow.

    before: the status of its server before, "" where there is none. ends: its status when all is well, "" for gone.
    skips: the steps that are none of this form's. calls: the driver calls of each step that changes something.
    guest_lost: its status where the guest dies before or after the effect, by "taken" or "done", if that is not `ends`.
    """

    name: str
    kind: str
    ask: Callable[[Server], None]
    before: str
    ends: str
    calls: dict[str, tuple[str, ...]]
    skips: frozenset[str] = frozenset()
    guest_lost: Mapping[str, str] = field(default_factory=dict)

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
        if self.before in BROUGHT_BY:
            server.act(BROUGHT_BY[self.before])
            server.await_status(self.before, BEGIN_S)
        return server

    def accept(self, cloud: Cloud, server: Server | None) -> Server:
        """Ask for it; returns the server that it is about."""
        if server is None:
            return boot(cloud)
        self.ask(server)
        return server


def _act(action: str, **arguments: str) -> Callable[[Server], None]:
    return lambda server: server.act(action, arguments or None)


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
        name="start", kind="start", ask=_act("os-start"), before="SHUTOFF", ends="ACTIVE",
        calls={"power_on": ("power_on",)},
    ),
    Form(
        name="stop", kind="stop", ask=_act("os-stop"), before="ACTIVE", ends="SHUTOFF",
        calls={"ask": ("request_shutdown",)},
    ),
    Form(
        name="reboot", kind="reboot", ask=_act("reboot", type="SOFT"), before="ACTIVE", ends="ACTIVE",
        skips=frozenset({"reset"}), calls={"ask": ("request_shutdown",), "power_on": ("power_on",)},
    ),
    Form(
        name="reboot hard", kind="reboot", ask=_act("reboot", type="HARD"), before="ACTIVE", ends="ACTIVE",
        skips=frozenset({"ask", "await_off", "power_on"}), calls={"reset": ("reboot",)},
    ),
    Form(
        name="pause", kind="pause", ask=_act("pause"), before="ACTIVE", ends="PAUSED", calls={"pause": ("pause",)},
        guest_lost={"taken": "SHUTOFF", "done": "SHUTOFF"},
    ),
    Form(
        name="unpause", kind="unpause", ask=_act("unpause"), before="PAUSED", ends="ACTIVE",
        calls={"unpause": ("resume",)}, guest_lost={"taken": "SHUTOFF", "done": "SHUTOFF"},
    ),
    Form(
        name="suspend", kind="suspend", ask=_act("suspend"), before="ACTIVE", ends="SUSPENDED",
        calls={"save": ("suspend",)}, guest_lost={"taken": "SHUTOFF"},
    ),
    Form(
        name="resume", kind="resume", ask=_act("resume"), before="SUSPENDED", ends="ACTIVE",
        calls={"restore": ("resume",)}, guest_lost={"done": "SHUTOFF"},
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
