"""The driver of one libvirtd: one node, whose guests are domains with a folder each."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, TypeVar
from uuid import UUID

import libvirt

from hypervisors.announcer import Announcer
from hypervisors.driver import (
    CallFailed,
    Capability,
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
from hypervisors.libvirt import (
    abilities,
    domainxml,
    errors,
    figures,
    machine,
    memory,
    metadata,
    nodefacts,
    virtualization,
)
from hypervisors.libvirt.connection import Connection
from hypervisors.libvirt.events import DomainEvents, power_of
from hypervisors.libvirt.folders import GuestFolder, GuestFolders
from hypervisors.libvirt.metadata import Marks
from hypervisors.libvirt.timed import TimedCalls
from hypervisors.libvirt.virtualization import Platform
from hypervisors.registry import Options

T = TypeVar("T")

FILE_SLOTS = 8
DESTROY_ATTEMPTS = 3
_OFF = frozenset({PowerState.SHUTDOWN, PowerState.CRASHED})
_UNDEFINE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A domain as it was looked at; each call looks it up on its own line."""

    uuid: UUID
    name: str
    marks: Marks | None
    power: PowerState
    active: bool  # has a process; one that is SUSPENDED may have one, asleep


class LibvirtDriver:
    """Every libvirt call has a limit; each changes one thing, so that an overrun leaves at most one thing unknown."""

    name = "libvirt"
    capabilities = frozenset(
        {
            Capability.IMAGE_FILES,
            Capability.TAP_DEVICES,
            Capability.CONFIG_DRIVE,
            Capability.CONSOLE_LOG,
            Capability.EVENTS,
        }
    )

    def __init__(self, options: Options) -> None:
        self._options = options
        self._node = options.host_name
        self._limit_s = options.timeout_s
        self._announcer = Announcer()
        self._connection = Connection(
            options.libvirt_uri,
            limit_s=options.timeout_s,
            prepare=DomainEvents(self._node, self._announcer).subscribe,
        )
        self._files = TimedCalls(FILE_SLOTS)
        self._memory = memory.Transfers(self._connection)
        self._folders = GuestFolders(options.host_dir / "guests")
        self._closed = False

    def nodes(self) -> tuple[NodeFacts, ...]:
        """Return the one node, named like the host."""
        state_dir = self._options.host_dir
        state_dir.mkdir(parents=True, exist_ok=True)
        platform = self._platform
        uuid = self._options.node_uuid(self._node)

        def read(connect: Any) -> NodeFacts:
            return nodefacts.read(connect, platform, name=self._node, uuid=uuid, state_dir=state_dir)

        return (self._connection.call("read the node", read),)

    def guests(self, node: str) -> tuple[GuestFacts, ...]:
        """Return the domains that carry our metadata and belong to this installation."""
        self._check(node)
        folders = str(self._folders.root)
        return self._connection.call("list guests", lambda connect: _list_guests(connect, folders))

    def guest(self, node: str, uuid: UUID) -> GuestFacts | None:
        """Return the guest, if there is such a domain."""
        self._check(node)
        return self._connection.call("look at the guest", lambda connect: _facts(connect, uuid))

    def create_disks(self, node: str, spec: GuestSpec) -> None:
        """Make the guest's folder and what is not yet whole in it."""
        folder, _ = self._admit(node, spec.uuid, spec.epoch)
        self._on_files("make disks", lambda: folder.make(spec, limit_s=self._limit_s))

    def remove_disks(self, node: str, uuid: UUID, epoch: int) -> None:
        """Remove the guest's folder; raises CallFailed while the guest runs."""
        folder, seen = self._admit(node, uuid, epoch)
        if seen and seen.power not in _OFF:
            raise CallFailed(f"guest {uuid} is not off: its disks stay")
        self._on_files("remove disks", folder.remove)

    def start(self, node: str, spec: GuestSpec) -> None:
        """Define the guest where its definition is another or none, and run it."""
        folder, seen = self._admit(node, spec.uuid, spec.epoch)
        named = self._connection.call("choose a name", lambda connect: _named(connect, spec, seen))
        xml, digest = domainxml.build(named, self._platform, folder)
        if abilities.is_asked_for(spec):
            self._connection.call("ask what it can", lambda connect: self._require_able(connect, spec))
        if seen is None or (not seen.active and (seen.marks is None or seen.marks.definition != digest)):
            self._connection.call("define the guest", lambda connect: connect.defineXML(xml))
        self._run(spec.uuid)

    def power_on(self, node: str, uuid: UUID, epoch: int) -> None:
        """Run the guest, on or afresh; raises GuestNotFound."""
        self._present(node, uuid, epoch)
        self._run(uuid)

    def request_shutdown(self, node: str, uuid: UUID, epoch: int) -> None:
        """Press the guest's power button; raises GuestNotFound."""
        seen = self._present(node, uuid, epoch)
        if seen.active:
            self._unless_off(
                "press the power button",
                seen,
                lambda domain: domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN),
            )

    def power_off(self, node: str, uuid: UUID, epoch: int) -> None:
        """Switch the guest off; raises GuestNotFound."""
        self._switch_off(self._present(node, uuid, epoch))

    def reboot(self, node: str, uuid: UUID, epoch: int) -> None:
        """Reset the guest; one asleep, off or kept in a file boots afresh. Raises GuestNotFound."""
        seen = self._present(node, uuid, epoch)
        if seen.active and seen.power is not PowerState.SUSPENDED:
            self._unless_off("reset the guest", seen, lambda domain: domain.reset(0))
        else:
            self._switch_off(seen)
        self._run(uuid)

    def pause(self, node: str, uuid: UUID, epoch: int) -> None:
        """Stop the guest's processors; raises GuestNotFound, CallFailed where it is off."""
        seen = self._there(node, uuid, epoch)
        if seen.power is not PowerState.PAUSED:
            self._connection.on_domain("pause the guest", uuid, lambda domain: domain.suspend())

    def suspend(self, node: str, uuid: UUID, epoch: int) -> str | None:
        """Have libvirt save the guest's memory; raises GuestNotFound, CallFailed where the guest is off."""
        seen = self._there(node, uuid, epoch)
        return self._memory.save(uuid) if seen.active else None

    def resume(self, node: str, uuid: UUID, epoch: int) -> str | None:
        """Have libvirt run the guest on; raises GuestNotFound, CallFailed where it is off."""
        seen = self._there(node, uuid, epoch)
        if seen.active and not self._memory.is_moving(uuid):
            self._run(uuid)
            return None
        return self._memory.restore(uuid)

    def destroy(self, node: str, uuid: UUID, epoch: int) -> None:
        """Switch off and undefine the guest, if it is there.

        What a killed worker began may end meanwhile: a guest undefined while libvirt still starts it runs on.
        """
        _, seen = self._admit(node, uuid, epoch)
        self._memory.forget(uuid)
        for _ in range(DESTROY_ATTEMPTS):
            if seen is None:
                return
            self._switch_off(seen)
            self._if_still_there("undefine the guest", uuid, lambda domain: domain.undefineFlags(_UNDEFINE))
            seen = self._connection.call("look at the guest", lambda connect: _look(connect, uuid))
        if seen is not None:
            raise CallFailed(f"guest {uuid} comes back whenever it is destroyed", retryable=True)

    def raise_epoch(self, node: str, uuid: UUID, epoch: int) -> None:
        """Write a higher epoch on guest and folder, as far as they are there."""
        self._admit(node, uuid, epoch)

    def console_output(self, node: str, uuid: UUID, max_bytes: int) -> bytes:
        """Return the end of the guest's console log."""
        self._check(node)
        return self._on_files("read the console", lambda: self._folders.of(uuid).console_end(max_bytes))

    def figures(self, node: str, uuid: UUID) -> GuestFigures:
        """Return what the guest has used; raises GuestNotFound, CallFailed where it does not run."""
        self._check(node)
        hypervisor = "kvm" if self._platform.kvm else "qemu"

        def read(domain: Any) -> GuestFigures:
            if not _runs(domain):
                raise CallFailed(f"guest {uuid} does not run")
            return figures.read(domain, hypervisor=hypervisor)

        return self._connection.on_domain("read the guest's figures", uuid, read)

    def disk_folders(self, node: str) -> tuple[UUID, ...]:
        """Return the uuids of which there is a folder."""
        self._check(node)
        return self._on_files("list folders", self._folders.uuids)

    def listen(self, callback: Callable[[GuestEvent], None]) -> None:
        """Follow the domains' events, now and whenever libvirtd comes back."""
        self._announcer.listen(callback)
        self._connection.wake()

    def close(self) -> None:
        """End the connection and the thread that tells events."""
        self._closed = True
        self._connection.close()
        self._announcer.close()

    @cached_property
    def _platform(self) -> Platform:
        virt_type = self._options.virt_type
        return self._connection.call(
            "probe for KVM", lambda connect: virtualization.choose(connect, virt_type)
        )

    def _require_able(self, connect: Any, spec: GuestSpec) -> None:
        machine_type = machine.choose(spec, self._platform)
        abilities.require(spec, abilities.of_machine(connect, self._platform, machine_type))

    def _check(self, node: str) -> None:
        if node != self._node:
            raise DriverError(f"host {self._node} has no node {node}")
        if self._closed:
            raise HypervisorUnavailable(f"the driver of host {self._node} is closed")

    def _admit(self, node: str, uuid: UUID, epoch: int) -> tuple[GuestFolder, Seen | None]:
        """Look at guest and folder, refuse an epoch lower than theirs, and write a higher one on both."""
        self._check(node)
        folder = self._folders.of(uuid)
        noted = self._on_files("read the epoch", folder.epoch)
        seen = self._connection.call("look at the guest", lambda connect: _look(connect, uuid))
        marked = seen.marks.epoch if seen and seen.marks else None
        highest = max(marked or 0, noted or 0)
        if highest > epoch:
            raise StaleEpoch(f"guest {uuid} is at epoch {highest}: {epoch} may not act on it")
        if noted is None or noted < epoch:
            self._on_files("note the epoch", lambda: folder.write_epoch(epoch))
        if seen and (marked is None or marked < epoch):
            self._connection.on_domain(
                "mark the guest", uuid, lambda domain: metadata.write_epoch(domain, epoch)
            )
        return folder, seen

    def _present(self, node: str, uuid: UUID, epoch: int) -> Seen:
        _, seen = self._admit(node, uuid, epoch)
        if seen is None:
            raise GuestNotFound(f"node {node} has no guest {uuid}")
        return seen

    def _there(self, node: str, uuid: UUID, epoch: int) -> Seen:
        """Look at a guest that has a process or memory that is kept; raises CallFailed where it is off."""
        seen = self._present(node, uuid, epoch)
        if seen.power in _OFF:
            raise CallFailed(f"guest {uuid} is off")
        return seen

    def _run(self, uuid: UUID) -> None:
        """Run a defined guest: create it where it is off, wake it where it sleeps, resume it where it is paused.

        That it runs already, since what a killed worker began has ended meanwhile, is no error.
        """

        def run(domain: Any) -> None:
            power = _power(domain)
            try:
                if power is PowerState.PAUSED:
                    domain.resume()
                elif not domain.isActive():
                    domain.create()
                elif power is PowerState.SUSPENDED:
                    domain.pMWakeup(0)
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID or not _runs(domain):
                    raise

        self._connection.on_domain("run the guest", uuid, run)

    def _switch_off(self, seen: Seen) -> None:
        if seen.active:
            self._unless_off("switch the guest off", seen, lambda domain: domain.destroy())
        self._if_still_there("forget the guest's memory", seen.uuid, _forget)

    def _unless_off(self, what: str, seen: Seen, act: Callable[[Any], object]) -> None:
        """Act on a guest that ran a moment ago; that it went off by itself is no error."""

        def guarded(domain: Any) -> None:
            try:
                act(domain)
            except libvirt.libvirtError:
                if domain.isActive():
                    raise

        self._if_still_there(what, seen.uuid, guarded)

    def _if_still_there(self, what: str, uuid: UUID, act: Callable[[Any], object]) -> None:
        """Act on a guest; that it has gone meanwhile is no error."""
        with suppress(GuestNotFound):
            self._connection.on_domain(what, uuid, act)

    def _on_files(self, what: str, work: Callable[[], T]) -> T:
        """Work on files, which may be on a file system that hangs; raises CallFailed for what the system refuses."""
        try:
            return self._files.run(what, work, self._limit_s)
        except OSError as error:
            raise CallFailed(f"{what}: {error.strerror or error}", retryable=True) from error


def _look(connect: Any, uuid: UUID) -> Seen | None:
    """Return the domain with its marks and state, or None where there is none."""
    try:
        domain = connect.lookupByUUID(uuid.bytes)
        return Seen(uuid, domain.name(), metadata.read(domain), _power(domain), bool(domain.isActive()))
    except libvirt.libvirtError as error:
        if errors.is_missing(error):
            return None
        raise


def _facts(connect: Any, uuid: UUID) -> GuestFacts | None:
    seen = _look(connect, uuid)
    if seen is None:
        return None
    return GuestFacts(uuid, seen.name, seen.power, seen.marks.epoch if seen.marks else None)


def _named(connect: Any, spec: GuestSpec, seen: Seen | None) -> GuestSpec:
    """Return the spec with a name that is free: a domain of another installation may have the one it asks for."""
    if seen:
        return replace(spec, name=seen.name)
    holder = errors.if_there(lambda: connect.lookupByName(spec.name))
    taken = holder is not None and holder.UUID() != spec.uuid.bytes
    return replace(spec, name=f"{spec.name}-{spec.uuid}") if taken else spec


def _list_guests(connect: Any, folders: str) -> tuple[GuestFacts, ...]:
    """Ask for all states at once, then for each guest's metadata (0.1 ms each)."""
    guests: list[GuestFacts] = []
    for domain, stats in connect.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE):
        marks = errors.if_there(partial(metadata.read, domain))
        if marks is not None and marks.folders == folders:
            state = errors.if_there(partial(power_of, domain, stats["state.state"]))
            if state is not None:
                guests.append(GuestFacts(UUID(bytes=domain.UUID()), domain.name(), state, marks.epoch))
    return tuple(guests)


def _power(domain: Any) -> PowerState:
    return power_of(domain, domain.state()[0])


def _forget(domain: Any) -> None:
    if domain.hasManagedSaveImage(0):
        domain.managedSaveRemove(0)


def _runs(domain: Any) -> bool:
    return _power(domain) is PowerState.RUNNING
