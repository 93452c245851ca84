"""A hypervisor that only remembers: for laptops, load tests, and tests of what goes wrong."""

import enum
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar
from uuid import UUID

from hypervisors import hardware
from hypervisors.announcer import Announcer
from hypervisors.driver import (
    CallFailed,
    Capability,
    DiskFigures,
    DriverError,
    GuestEvent,
    GuestFacts,
    GuestFigures,
    GuestNotFound,
    GuestSpec,
    HypervisorUnavailable,
    NodeFacts,
    PowerState,
    StaleEpoch,
)
from hypervisors.fake_store import FakeGuest, FakeStore
from hypervisors.faults import FaultPlan, Moment
from hypervisors.registry import Options

CONSOLE_KEEPS_BYTES = 64 * 1024
VERSION = 1_000_000
IDLE = GuestFigures(hypervisor="fake", cpu_times_ns=(0,), memory_mib=0, memory_used_mib=0)
_OFF = frozenset({PowerState.SHUTDOWN, PowerState.CRASHED})

T = TypeVar("T")


class Missing(enum.Enum):
    """What a call does on a guest that is not there."""

    REFUSED = enum.auto()
    DONE = enum.auto()
    MADE = enum.auto()


@dataclass(frozen=True, slots=True)
class Change:
    """What a call does to a guest; without an epoch it is the guest's own doing."""

    epoch: int | None
    apply: Callable[[FakeGuest], None]
    missing: Missing = Missing.REFUSED


class FakeDriver:
    """Thousands of nodes behind one worker; `faults` plans failures, `guest_*` do what guests do by themselves."""

    name = "fake"

    def __init__(self, options: Options) -> None:
        files = {Capability.IMAGE_FILES} if options.fake_image_files else set()
        self.capabilities = frozenset(
            {Capability.CONFIG_DRIVE, Capability.CONSOLE_LOG, Capability.EVENTS, *files}
        )
        self.faults = FaultPlan()
        self.effects: Counter[str] = Counter()  # how often a call of this name really changed a guest
        self._options = options
        self._events = Announcer()
        self._lock = threading.Lock()
        self._closed = False

    def nodes(self) -> tuple[NodeFacts, ...]:
        """Return the nodes: the first is named like the host, the others after it."""
        return self._do("nodes", "", lambda: tuple(self._nodes.values()), instead=())

    def guests(self, node: str) -> tuple[GuestFacts, ...]:
        """Return the node's guests."""
        return self._ask("guests", node, lambda: self._list(node), instead=())

    def guest(self, node: str, uuid: UUID) -> GuestFacts | None:
        """Return the guest, if it is there."""
        return self._ask("guest", node, lambda: self._facts(node, uuid), instead=None)

    def create_disks(self, node: str, spec: GuestSpec) -> None:
        """Remember the disks and the config drive."""

        def make(guest: FakeGuest) -> None:
            guest.make_disks(spec.disks, spec.config_drive)

        self._act("create_disks", node, spec.uuid, Change(spec.epoch, make, Missing.MADE))

    def remove_disks(self, node: str, uuid: UUID, epoch: int) -> None:
        """Forget the disks."""
        self._act("remove_disks", node, uuid, Change(epoch, _remove_disks, Missing.DONE))

    def start(self, node: str, spec: GuestSpec) -> None:
        """Define the guest and run it; raises CallFailed where its disks have not been made."""

        def start(guest: FakeGuest) -> None:
            if missing := {disk.name for disk in spec.disks}.difference(guest.disks):
                raise CallFailed(f"guest {spec.uuid} lacks its disks {sorted(missing)}")
            guest.name, guest.defined = spec.name, True
            _run(guest)

        self._act("start", node, spec.uuid, Change(spec.epoch, start, Missing.MADE))

    def power_on(self, node: str, uuid: UUID, epoch: int) -> None:
        """Run the guest, on or afresh; raises GuestNotFound."""
        self._act("power_on", node, uuid, Change(epoch, _run))

    def request_shutdown(self, node: str, uuid: UUID, epoch: int) -> None:
        """Shut the guest down: a fake guest obeys at once."""
        self._act("request_shutdown", node, uuid, Change(epoch, _switch_off))

    def power_off(self, node: str, uuid: UUID, epoch: int) -> None:
        """Switch the guest off; raises GuestNotFound."""
        self._act("power_off", node, uuid, Change(epoch, _switch_off))

    def reboot(self, node: str, uuid: UUID, epoch: int) -> None:
        """Run the guest afresh; raises GuestNotFound."""

        def reset(guest: FakeGuest) -> None:
            _switch_off(guest)
            _run(guest)

        self._act("reboot", node, uuid, Change(epoch, reset))

    def pause(self, node: str, uuid: UUID, epoch: int) -> None:
        """Pause the guest; raises GuestNotFound, CallFailed where it is off."""
        self._act("pause", node, uuid, Change(epoch, _becomes(PowerState.PAUSED)))

    def suspend(self, node: str, uuid: UUID, epoch: int) -> str | None:
        """Remember that the guest is suspended, at once; raises GuestNotFound, CallFailed where it is off."""
        self._act("suspend", node, uuid, Change(epoch, _becomes(PowerState.SUSPENDED)))
        return None

    def resume(self, node: str, uuid: UUID, epoch: int) -> str | None:
        """Run the guest on, at once; raises GuestNotFound, CallFailed where it is off."""
        self._act("resume", node, uuid, Change(epoch, _becomes(PowerState.RUNNING)))
        return None

    def destroy(self, node: str, uuid: UUID, epoch: int) -> None:
        """Switch off and undefine the guest, if it is there."""
        self._act("destroy", node, uuid, Change(epoch, _undefine, Missing.DONE))

    def raise_epoch(self, node: str, uuid: UUID, epoch: int) -> None:
        """Remember a higher epoch of the guest or its folder, if there is either."""
        self._act("raise_epoch", node, uuid, Change(epoch, _keep, Missing.DONE))

    def console_output(self, node: str, uuid: UUID, max_bytes: int) -> bytes:
        """Return the end of what the guest wrote."""
        return self._ask("console_output", node, lambda: self._console(node, uuid, max_bytes), instead=b"")

    def figures(self, node: str, uuid: UUID) -> GuestFigures:
        """Return figures of a guest that uses nothing; raises GuestNotFound, CallFailed where it does not run."""
        return self._ask("figures", node, lambda: self._figures(node, uuid), instead=IDLE)

    def disk_folders(self, node: str) -> tuple[UUID, ...]:
        """Return the uuids of which there are disks."""
        return self._ask("disk_folders", node, lambda: self._store.folders(node), instead=())

    def listen(self, callback: Callable[[GuestEvent], None]) -> None:
        """Call back at every power change."""
        self._events.listen(callback)

    def close(self) -> None:
        """End the thread and close the file."""
        with self._lock:
            self._closed = True
            if "_store" in vars(self):
                self._store.close()
        self._events.close()

    def config_drive(self, node: str, uuid: UUID) -> dict[str, bytes] | None:
        """Return the files of the guest's config drive, for tests."""
        with self._lock:
            guest = self._store.read(node, uuid)
        return guest.config_drive if guest else None

    def guest_writes(self, node: str, uuid: UUID, text: bytes) -> None:
        """Do what a guest does that writes to its console."""

        def write(guest: FakeGuest) -> None:
            guest.console = (guest.console + text)[-CONSOLE_KEEPS_BYTES:]

        self._change(node, uuid, Change(None, write))

    def guest_stops(self, node: str, uuid: UUID, *, state: PowerState = PowerState.SHUTDOWN) -> None:
        """Do what a guest does that shuts down, crashes or pauses by itself."""

        def stop(guest: FakeGuest) -> None:
            guest.power = state

        self._change(node, uuid, Change(None, stop))

    @cached_property
    def _store(self) -> FakeStore:
        return FakeStore(self._options.host_dir / "fake")

    @cached_property
    def _nodes(self) -> dict[str, NodeFacts]:
        host = self._options.host_name
        names = [host, *(f"{host}-{number}" for number in range(1, self._options.fake_nodes))]
        return {name: self._node_facts(name) for name in names}

    def _node_facts(self, name: str) -> NodeFacts:
        return NodeFacts(
            name=name,
            uuid=self._options.node_uuid(name),
            hypervisor_type="fake",
            hypervisor_version=VERSION,
            vcpus=self._options.fake_node_vcpus,
            memory_mib=self._options.fake_node_memory_mib,
            disk_gib=self._options.fake_node_disk_gib,
            architecture="x86_64",
            cpu_info={"arch": "x86_64", "model": "fake", "vendor": "none", "features": [], "topology": {}},
            traits=frozenset({"COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_IMAGE_TYPE_RAW"}) | hardware.all_traits(),
        )

    def _list(self, node: str) -> tuple[GuestFacts, ...]:
        return tuple(GuestFacts(*row) for row in self._store.defined(node))

    def _facts(self, node: str, uuid: UUID) -> GuestFacts | None:
        guest = self._store.read(node, uuid)
        if guest is None or not guest.defined:
            return None
        return GuestFacts(uuid, guest.name, guest.power, guest.epoch)

    def _console(self, node: str, uuid: UUID, max_bytes: int) -> bytes:
        guest = self._store.read(node, uuid)
        return guest.console[-max_bytes:] if guest and max_bytes > 0 else b""

    def _figures(self, node: str, uuid: UUID) -> GuestFigures:
        guest = self._store.read(node, uuid)
        if guest is None or not guest.defined:
            raise GuestNotFound(f"node {node} has no guest {uuid}")
        if guest.power is not PowerState.RUNNING:
            raise CallFailed(f"guest {uuid} does not run")
        return replace(IDLE, disks=tuple(DiskFigures(name=name) for name in guest.disks))

    def _ask(self, call: str, node: str, look: Callable[[], T], *, instead: T) -> T:
        """Look under the lock."""

        def locked() -> T:
            with self._lock:
                return look()

        return self._do(call, node, locked, instead=instead)

    def _act(self, call: str, node: str, uuid: UUID, change: Change) -> None:
        def act() -> None:
            if self._change(node, uuid, change):
                self.effects[call] += 1

        self._do(call, node, act, instead=None)

    def _do(self, call: str, node: str, effect: Callable[[], T], *, instead: T) -> T:
        """Have the effect, or what is planned to happen to this call."""
        self._refuse_if_closed()
        if node and node not in self._nodes:
            raise DriverError(f"host {self._options.host_name} has no node {node}")
        fault = self.faults.strike(call, node)
        if delay_s := self._options.fake_delay_s + (fault.delay_s if fault else 0.0):
            time.sleep(delay_s)
        if fault is None:
            return effect()
        if fault.when is Moment.BEFORE and fault.error:
            raise fault.error
        result = instead if fault.when is Moment.INSTEAD else effect()
        if fault.error:
            raise fault.error
        return result

    def _change(self, node: str, uuid: UUID, change: Change) -> bool:
        """Change a guest in one go; returns whether more than its epoch changed. Raises StaleEpoch, GuestNotFound."""
        with self._lock:
            self._refuse_if_closed()
            guest = self._store.read(node, uuid)
            if guest is None or (change.missing is Missing.REFUSED and not guest.defined):
                if change.missing is Missing.DONE:
                    return False
                if change.missing is Missing.REFUSED:
                    raise GuestNotFound(f"node {node} has no guest {uuid}")
                guest = FakeGuest()
            if change.epoch is not None:
                if guest.epoch > change.epoch:
                    raise StaleEpoch(
                        f"guest {uuid} is at epoch {guest.epoch}: {change.epoch} may not act on it"
                    )
                guest.epoch = change.epoch
            before = replace(guest)
            change.apply(guest)
            self._store.write(node, uuid, guest)
        if guest.power is not before.power:
            self._events.announce(GuestEvent(node, uuid, guest.power))
        return guest != before

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise HypervisorUnavailable(f"the driver of host {self._options.host_name} is closed")


def _keep(_: FakeGuest) -> None:
    """Change nothing but the epoch."""


def _becomes(power: PowerState) -> Callable[[FakeGuest], None]:
    def change(guest: FakeGuest) -> None:
        if guest.power in _OFF:
            raise CallFailed(f"guest {guest.name} is off")
        guest.power = power

    return change


def _run(guest: FakeGuest) -> None:
    if guest.power in _OFF:
        guest.console = (guest.console + f"{guest.name} login: \r\n".encode())[-CONSOLE_KEEPS_BYTES:]
    guest.power = PowerState.RUNNING


def _switch_off(guest: FakeGuest) -> None:
    guest.power = PowerState.SHUTDOWN


def _undefine(guest: FakeGuest) -> None:
    guest.defined, guest.power = False, PowerState.SHUTDOWN


def _remove_disks(guest: FakeGuest) -> None:
    if guest.power not in _OFF:
        raise CallFailed(f"guest {guest.name} is not off: its disks stay")
    guest.folder, guest.disks, guest.config_drive = False, (), None
