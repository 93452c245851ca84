"""What a host keeps of its guests in files: a folder a guest, with disks, config drive, console log and epoch."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from hypervisors.driver import CallFailed, GuestSpec
from hypervisors.libvirt import configdrive, overlay


@dataclass(frozen=True, slots=True)
class GuestFolder:
    """One guest's folder. Its epoch fences while no domain, or no longer a domain, carries one."""

    path: Path

    def disk(self, name: str) -> Path:
        """Return a disk's file; raises CallFailed for a name that is not plain letters and digits."""
        if not (name.isascii() and name.isalnum()):
            raise CallFailed(f"a disk cannot be named {name!r}")
        return self.path / f"{name}.qcow2"

    @property
    def config_drive(self) -> Path:
        """Return the config drive's file."""
        return self.path / "config.iso"

    @property
    def kernel(self) -> Path:
        """Return the guest's own copy of a kernel that is booted directly."""
        return self.path / "kernel"

    @property
    def ramdisk(self) -> Path:
        """Return the guest's own copy of the ramdisk that goes with the kernel."""
        return self.path / "ramdisk"

    @property
    def console(self) -> Path:
        """Return the log of the first serial port."""
        return self.path / "console.log"

    def epoch(self) -> int | None:
        """Return the highest epoch that acted on the folder, or None where there is none."""
        try:
            return int((self.path / "epoch").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def write_epoch(self, epoch: int) -> None:
        """Note the epoch, where the folder is there."""
        half = self.path / f".epoch.{epoch}"
        try:
            half.write_text(str(epoch))
            half.replace(self.path / "epoch")
        except FileNotFoundError:
            return

    def make(self, spec: GuestSpec, *, limit_s: float) -> None:
        """Make the folder and what is not yet in it; QEMU's user may pass through, but not list."""
        self.path.mkdir(mode=0o711, parents=True, exist_ok=True)
        self.write_epoch(spec.epoch)
        for disk in spec.disks:
            path = self.disk(disk.name)
            if not path.exists():
                overlay.make(disk, path, limit_s=limit_s)
        if (boot := spec.hardware.direct_boot) is not None:
            _copy(boot.kernel, self.kernel)
            if boot.ramdisk is not None:
                _copy(boot.ramdisk, self.ramdisk)
        if spec.config_drive is not None and not self.config_drive.exists():
            configdrive.make(spec.config_drive, self.config_drive)

    def remove(self) -> None:
        """Remove the folder with all in it, if it is there."""
        try:
            shutil.rmtree(self.path)
        except FileNotFoundError:
            if self.path.exists():
                self.remove()

    def console_end(self, max_bytes: int) -> bytes:
        """Return the end of the console's log, with that of the one before where the newest is short."""
        end = b""
        for log in (self.console, self.console.with_name("console.log.0")):
            end = _end(log, max_bytes - len(end)) + end
        return end


@dataclass(frozen=True, slots=True)
class GuestFolders:
    """The folders of a host's guests, each named by its guest's uuid."""

    root: Path

    def of(self, uuid: UUID) -> GuestFolder:
        """Return a guest's folder, which may not be there."""
        return GuestFolder(self.root / str(uuid))

    def uuids(self) -> tuple[UUID, ...]:
        """Return whose folders there are."""
        try:
            names = os.listdir(self.root)
        except FileNotFoundError:
            return ()
        return tuple(uuid for name in names if (uuid := _uuid(name)))


def _copy(source: Path, path: Path) -> None:
    """Copy a file that is read at every boot, whole or not at all: the cache may forget it, the guest may not."""
    if path.exists():
        return
    half = path.with_name(f".{path.name}.half")
    shutil.copyfile(source, half)
    half.chmod(0o600)
    overlay.finish(half, path)


def _uuid(name: str) -> UUID | None:
    try:
        uuid = UUID(name)
    except ValueError:
        return None
    return uuid if str(uuid) == name else None


def _end(path: Path, max_bytes: int) -> bytes:
    if max_bytes <= 0:
        return b""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - max_bytes))
            return file.read(max_bytes)
    except FileNotFoundError:
        return b""
