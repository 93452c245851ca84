"""What a soak does and when: a pure function of its seed, so that a run that found something can be made again.

Moments are seconds of the schedule, whose clock stands still while the cloud is looked at in a quiet moment.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

TENANTS = ("admin", "demo", "soak-a", "soak-b")
TENANT_WEIGHTS = (4, 2, 2, 2)
QUIET_EVERY_S = 300.0
CALM_AT_END_S = 20.0  # nothing is aimed any more that may take a while to hit
ON, OFF, PAUSED, SUSPENDED = "on", "off", "paused", "suspended"


@dataclass(frozen=True)
class Event:
    """One thing that is done: an operation of a tenant, a fault, or a quiet moment in which all is counted."""

    at_s: float
    kind: str  # operation, fault, quiet
    name: str
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        words = " ".join(f"{key}={value}" for key, value in self.details.items())
        return f"{self.at_s:9.3f}  {self.kind:9}  {self.name:18} {words}"


@dataclass(frozen=True)
class Shape:
    """What the schedule is made for; the gates are those that the registered workflows and the driver have."""

    seed: str
    minutes: float
    driver: str
    hosts: int
    gates: tuple[str, ...]
    undo_gates: tuple[str, ...]

    @property
    def requests_per_s(self) -> float:
        """Return how many requests for new servers there are in a second."""
        return 0.40 if self.driver == "fake" else 0.08

    @property
    def faults_per_s(self) -> float:
        """Return how many faults there are in a second."""
        return 0.37 if self.driver == "fake" else 0.15


# How often each fault is chosen, against the others.
FAULTS = {
    "kill_host": 8,
    "kill_control": 5,
    "kill_web": 4,
    "kill_beat": 3,
    "term_host": 5,
    "term_control": 3,
    "term_web": 2,
    "term_beat": 2,
    "kill_at_gate": 16,
    "kill_in_undo": 6,
    "kill_before_dispatch": 3,
    "redis_kill": 3,
    "redis_restart": 2,
    "redis_wiped": 5,
    "redis_hangs": 4,
    "pause_host": 4,
    "pause_control": 3,
    "pause_web": 2,
    "pause_beyond_lease": 0.7,
    "message_twice": 8,
    "message_late": 6,
    "message_early": 4,
    "message_newer": 3,
    "database_locked": 6,
    "driver_fails": 14,
    "driver_hangs": 3,
    "step_fails": 5,
}
REAL_FAULTS = {**FAULTS, "libvirtd_kill": 3, "guest_dies": 4, "pause_beyond_lease": 0.3}
FAILING = (
    "create_disks",
    "start",
    "destroy",
    "remove_disks",
    "power_on",
    "request_shutdown",
    "reboot",
    "pause",
    "suspend",
    "resume",
    "guest",
)
# What is done to a server in each state, how often against the others, and the state that follows.
ACTIONS = {
    ON: {
        "stop": (5, OFF),
        "reboot_soft": (3, ON),
        "reboot_hard": (3, ON),
        "pause": (3, PAUSED),
        "suspend": (3, SUSPENDED),
    },
    OFF: {"start": (6, ON), "reboot_hard": (1, ON)},
    PAUSED: {"unpause": (6, ON), "reboot_hard": (1, ON)},
    SUSPENDED: {"resume": (6, ON), "reboot_hard": (1, ON)},
}
RACING = ("stop", "start", "reboot_hard", "pause", "suspend")
KINDS = ("create", "delete", "start", "stop", "reboot", "pause", "unpause", "suspend", "resume")


def schedule(shape: Shape) -> list[Event]:
    """Return the whole schedule in the order of its moments."""
    chance = random.Random(f"{shape.seed} {shape.minutes} {shape.driver} {shape.hosts}")
    end_s = shape.minutes * 60
    events = [*_operations(chance, shape, end_s), *_faults(chance, shape, end_s)]
    events += _cancels(random.Random(f"{shape.seed} cancels"), events)
    quiet_s = QUIET_EVERY_S
    while quiet_s < end_s - QUIET_EVERY_S / 2:
        events.append(Event(quiet_s, "quiet", "count"))
        quiet_s += QUIET_EVERY_S
    return sorted(events, key=lambda event: event.at_s)


def _operations(chance: random.Random, shape: Shape, end_s: float) -> Iterator[Event]:
    at_s, number = 1.0, 0
    while at_s < end_s - 10:
        number += 1
        yield from _life(chance, f"soak-{number}", at_s, end_s)
        at_s += chance.expovariate(shape.requests_per_s)


def _life(chance: random.Random, name: str, born_s: float, end_s: float) -> Iterator[Event]:
    """Yield what is done to one server, or to those of one request for several, from its creation to its deletion."""

    def operation(at_s: float, what: str, **details: Any) -> Event:
        return Event(round(at_s, 3), "operation", what, {"server": name, "tenant": tenant, **details})

    tenant = chance.choices(TENANTS, TENANT_WEIGHTS)[0]
    count = chance.choice((2, 3)) if chance.random() < 0.1 else 1
    networks = chance.choices(("public", "auto", "none"), (3, 1, 1))[0]
    yield operation(born_s, "create", count=count, networks=networks)
    if chance.random() < 0.12:  # deleted while it is being made
        yield operation(born_s + chance.uniform(0.05, 1.0), "delete")
        return
    power, at_s = ON, born_s + chance.uniform(4, 10)
    for _ in range(chance.randint(1, 4)):
        if at_s > end_s - 8:
            break
        what = _action(chance, power)
        power = ACTIONS[power][what][1]
        yield operation(at_s, what)
        if chance.random() < 0.1:  # and something else at the same time, which may be refused
            yield operation(at_s + chance.uniform(0, 0.1), chance.choice(RACING), racing=1)
        at_s += chance.uniform(3, 12)
    racing = chance.random() < 0.25  # the last action is overtaken
    gone_s = at_s - 2.9 if racing else at_s
    if racing:
        yield operation(gone_s - chance.uniform(0, 0.2), _action(chance, power))
    yield operation(min(gone_s, end_s), "delete")


def _cancels(chance: random.Random, events: list[Event]) -> list[Event]:
    """Return a cancel for some of the operations, soon after each was asked for."""
    asked = [event for event in events if event.kind == "operation" and event.name != "delete"]
    return [
        Event(
            round(event.at_s + chance.uniform(0, 0.6), 3), "operation", "cancel",
            {"server": event.details["server"], "tenant": event.details["tenant"], "after": event.name},
        )
        for event in asked
        if chance.random() < 0.06
    ]  # fmt: skip


def _action(chance: random.Random, power: str) -> str:
    choices = ACTIONS[power]
    return chance.choices(list(choices), [often for often, _ in choices.values()])[0]


def _faults(chance: random.Random, shape: Shape, end_s: float) -> Iterator[Event]:
    weights = FAULTS if shape.driver == "fake" else REAL_FAULTS
    names = list(weights)
    at_s = 5.0
    while at_s < end_s - CALM_AT_END_S:
        name = chance.choices(names, list(weights.values()))[0]
        yield Event(round(at_s, 3), "fault", name, _aim(chance, name, shape))
        at_s += chance.expovariate(shape.faults_per_s)


def _aim(chance: random.Random, name: str, shape: Shape) -> dict[str, Any]:
    """Return where and how long the fault strikes; `pick` chooses among what is there at that moment."""
    aim: dict[str, Any] = {"pick": round(chance.random(), 4)}
    if name.endswith("_host") or name == "pause_beyond_lease":
        aim["host"] = chance.randrange(shape.hosts)
    if name.startswith("pause_") or name in ("redis_hangs", "database_locked", "driver_hangs"):
        aim["seconds"] = round(chance.uniform(1, 8), 2)
    if name == "pause_beyond_lease":
        aim |= {"process": chance.choice(("host", "control")), "seconds": round(chance.uniform(32, 40), 2)}
    if name == "kill_at_gate":
        aim["gate"] = _one(chance, shape.gates)
    if name == "step_fails":
        aim["gate"] = _one(chance, [gate for gate in shape.gates if gate.endswith((".taken", ".done"))])
    if name == "kill_in_undo":
        aim["gate"] = _one(chance, shape.undo_gates)
    if name == "kill_before_dispatch":
        aim["gate"] = f"{_one(chance, KINDS)}.accepted"
    if name in ("driver_fails", "driver_hangs"):
        aim["gate"] = f"{_one(chance, FAILING)}.{_one(chance, ('enter', 'leave'))}"
    if name == "driver_fails":
        aim["retryable"] = chance.random() < 0.5
    if name == "message_twice":
        aim["times"] = chance.randint(1, 4)
    return aim


def _one(chance: random.Random, choices: Sequence[str]) -> str:
    return choices[chance.randrange(len(choices))]
