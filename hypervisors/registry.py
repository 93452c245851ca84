"""Which drivers there are, and how a worker process gets the one it is told to use."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, cast
from uuid import UUID, uuid5

from hypervisors.driver import Driver, DriverError
from hypervisors.gated import gated

DRIVERS = {
    "libvirt": "hypervisors.libvirt.driver.LibvirtDriver",
    "fake": "hypervisors.fake.FakeDriver",
}
NODES = UUID("6c1f6a0e-6b0d-5d0a-9d3f-0a4b6a1d7c55")
HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All that a driver needs to know; a driver keeps what it writes under host_dir."""

    state_dir: Path
    host_name: str
    libvirt_uri: str = "qemu:///system"
    virt_type: Literal["auto", "kvm", "qemu"] = "auto"
    timeout_s: float = 30.0
    fake_nodes: int = 1
    fake_node_vcpus: int = 64
    fake_node_memory_mib: int = 262_144
    fake_node_disk_gib: int = 4_096
    fake_delay_s: float = 0.0
    fake_image_files: bool = False
    gate_dir: str = ""  # tests only: see hypervisors.gated

    def __post_init__(self) -> None:
        """Raise DriverError where the host's name cannot be a folder's name."""
        if not HOST_NAME.fullmatch(self.host_name):
            raise DriverError(f"{self.host_name!r} cannot name a host: use letters, digits, dots and dashes")

    @property
    def host_dir(self) -> Path:
        """Return the folder of this host in the state folder, as an absolute path."""
        return self.state_dir.absolute() / "hosts" / self.host_name

    def node_uuid(self, node: str) -> UUID:
        """Return the uuid of a node of this host: the same for the same names, for ever."""
        return uuid5(NODES, f"{self.host_name}/{node}")


def load(name: str, options: Options) -> Driver:
    """Return a new driver; nothing is opened before its first call. Raises DriverError for an unknown name."""
    if name not in DRIVERS:
        raise DriverError(f"there is no driver {name!r}: choose one of {', '.join(sorted(DRIVERS))}")
    module, _, class_name = DRIVERS[name].rpartition(".")
    make = cast(Callable[[Options], Driver], getattr(import_module(module), class_name))
    driver = make(options)
    return gated(driver, Path(options.gate_dir)) if options.gate_dir else driver
