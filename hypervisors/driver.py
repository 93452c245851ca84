"""The contract between the controller and a hypervisor: plain values in, plain results out.

Every call that changes something is convergent: made twice it leaves what it leaves when made once, and made on what
is half there it finishes the rest. Every such call carries the subject epoch; a driver that finds a higher one in the
guest's own metadata or folder raises StaleEpoch and changes nothing, and one that finds a lower one there raises it.
"""

import enum
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from hypervisors.hardware import Hardware


class PowerState(enum.IntEnum):
    """What a guest does, with the numbers of the Compute API (OS-EXT-STS:power_state)."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


class Capability(enum.StrEnum):
    """What a driver needs or can do beyond the calls of the contract."""

    IMAGE_FILES = "image_files"  # disks are made from files that the host's image cache holds
    TAP_DEVICES = "tap_devices"  # NICs are tap devices on bridges that the host's wiring makes
    CONFIG_DRIVE = "config_drive"
    CONSOLE_LOG = "console_log"
    EVENTS = "events"  # power changes are told by listen(), not only by asking


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One node as its driver sees it; what is reserved or oversold is the controller's business."""

    name: str
    uuid: UUID
    hypervisor_type: str  # QEMU, KVM, fake: as the Compute API names it
    hypervisor_version: int  # libvirt's form: 1_000_000 * major + 1_000 * minor + patch
    vcpus: int
    memory_mib: int
    disk_gib: int
    architecture: str
    cpu_info: dict[str, Any] = field(default_factory=dict)
    traits: frozenset[str] = frozenset()
    host_ip: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Disk:
    """A guest's disk: a qcow2 overlay of size_gib over a base file, or a blank one without."""

    name: str  # "root", "ephemeral0", "swap": also the file's name
    size_gib: int
    base: Path | None = None
    base_format: str = "qcow2"
    bus: str = "virtio"


@dataclass(frozen=True, slots=True)
class Nic:
    """A guest's network card: the tap device's name and the bridge it is plugged into."""

    port_id: UUID
    mac: str
    tap: str
    bridge: str
    mtu: int = 1500
    model: str = "virtio"


@dataclass(frozen=True, slots=True)
class GuestSpec:
    """All that a driver must know to make a guest."""

    uuid: UUID
    epoch: int
    name: str  # the domain's name, instance-%08x
    display_name: str
    project_id: str
    vcpus: int
    memory_mib: int
    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()
    config_drive: dict[str, bytes] | None = None  # path in the drive to content
    hardware: Hardware = field(default_factory=Hardware)


@dataclass(frozen=True, slots=True)
class GuestFacts:
    """A guest as the hypervisor reports it; epoch is None where the metadata is not ours."""

    uuid: UUID
    name: str
    power_state: PowerState
    epoch: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFigures:
    """What went through a guest's disk since it was started."""

    name: str
    read_bytes: int = 0
    read_requests: int = 0
    write_bytes: int = 0
    write_requests: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NicFigures:
    """What went through a guest's network card since it was started; rx is what the guest got."""

    name: str
    mac: str
    rx_octets: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_drop: int = 0
    tx_octets: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_drop: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestFigures:
    """What a running guest has used; cpu_times_ns is one a virtual processor, memory_used_mib what the host gave."""

    hypervisor: str  # qemu, kvm, fake
    cpu_times_ns: tuple[int, ...]
    memory_mib: int
    memory_used_mib: int
    disks: tuple[DiskFigures, ...] = ()
    nics: tuple[NicFigures, ...] = ()


@dataclass(frozen=True, slots=True)
class GuestEvent:
    """A guest changed its power state by itself or by our doing."""

    node: str
    uuid: UUID
    power_state: PowerState


class DriverError(Exception):
    """Base of what a driver raises; retryable says whether the same call may work later."""

    retryable = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class HypervisorUnavailable(DriverError):
    """The hypervisor does not answer; nothing was changed."""

    retryable = True


class CallFailed(DriverError):
    """The hypervisor refused or failed; retryable where its error code says so."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class CallOverran(DriverError):
    """The call took longer than its limit: its outcome is unknown until `pending` is done."""

    retryable = True

    def __init__(self, message: str, pending: "Future[Any]") -> None:
        super().__init__(message)
        self.pending = pending


class StaleEpoch(DriverError):
    """Somebody with a higher epoch has acted on this guest; whoever holds the lower one must stop."""


class GuestNotFound(DriverError):
    """There is no such guest on this node."""


class Driver(Protocol):
    """What the controller asks of a hypervisor. `node` is a NodeFacts.name; unknown nodes raise DriverError."""

    name: str
    capabilities: frozenset[Capability]

    def nodes(self) -> tuple[NodeFacts, ...]:
        """Return the nodes behind this driver with what they have."""

    def guests(self, node: str) -> tuple[GuestFacts, ...]:
        """Return every guest on the node that carries our metadata; another installation's guests are not ours."""

    def guest(self, node: str, uuid: UUID) -> GuestFacts | None:
        """Return one guest, or None where the node has no such guest."""

    def create_disks(self, node: str, spec: GuestSpec) -> None:
        """Make the guest's disks and config drive in a folder named by its uuid; keeps disks that are whole."""

    def remove_disks(self, node: str, uuid: UUID, epoch: int) -> None:
        """Remove the guest's folder with all in it, if it is there; raises CallFailed while the guest runs."""

    def start(self, node: str, spec: GuestSpec) -> None:
        """Define the guest with its epoch and run it, its disks being made; one that runs already is left running."""

    def power_on(self, node: str, uuid: UUID, epoch: int) -> None:
        """Run a defined guest, on from where it stands or afresh where it is off; raises GuestNotFound."""

    def request_shutdown(self, node: str, uuid: UUID, epoch: int) -> None:
        """Press the guest's power button (ACPI) and return at once; raises GuestNotFound."""

    def power_off(self, node: str, uuid: UUID, epoch: int) -> None:
        """Switch the guest off at once and forget memory that is kept of it; raises GuestNotFound."""

    def reboot(self, node: str, uuid: UUID, epoch: int) -> None:
        """Have the guest boot afresh at once, whatever it does and whatever is kept of it; raises GuestNotFound."""

    def pause(self, node: str, uuid: UUID, epoch: int) -> None:
        """Stop the guest's processors, its memory stays in place; raises GuestNotFound, CallFailed where it is off."""

    def suspend(self, node: str, uuid: UUID, epoch: int) -> str | None:
        """Keep the guest's memory in a file and switch it off; returns None when that is done, else how far it is.

        What was begun goes on when the caller has gone. Raises GuestNotFound, CallFailed where the guest is off.
        """

    def resume(self, node: str, uuid: UUID, epoch: int) -> str | None:
        """Run the guest on from where it was paused, fell asleep or was suspended; returns as suspend does.

        Raises GuestNotFound, CallFailed where it is off and nothing is kept of it.
        """

    def destroy(self, node: str, uuid: UUID, epoch: int) -> None:
        """Switch off and undefine the guest, if it is there; its disks stay."""

    def raise_epoch(self, node: str, uuid: UUID, epoch: int) -> None:
        """Write a higher epoch into the guest's metadata and its folder, as far as they are there."""

    def console_output(self, node: str, uuid: UUID, max_bytes: int) -> bytes:
        """Return the end of what the guest wrote to its first serial port; empty where it wrote nothing."""

    def figures(self, node: str, uuid: UUID) -> GuestFigures:
        """Return what a running guest has used; raises GuestNotFound, CallFailed where it does not run."""

    def disk_folders(self, node: str) -> tuple[UUID, ...]:
        """Return the uuids of which the node holds a disk folder, guest or no guest."""

    def listen(self, callback: Callable[[GuestEvent], None]) -> None:
        """Call back, from a thread of the driver's own, at every power change; returns at once.

        A state may be told twice: all guests' states are told again after the hypervisor could not be heard.
        """

    def close(self) -> None:
        """End threads and connections; calls made after this raise HypervisorUnavailable."""
