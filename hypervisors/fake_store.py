"""What the fake driver keeps of its guests: one SQLite file that outlives a killed worker (not a power cut)."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import msgspec

from hypervisors.driver import Disk, PowerState

_TABLE = """
CREATE TABLE IF NOT EXISTS guest (
    node TEXT, uuid TEXT, epoch INTEGER, name TEXT, defined INTEGER, power INTEGER,
    folder INTEGER, disks TEXT, config_drive TEXT, console BLOB,
    PRIMARY KEY (node, uuid)
) WITHOUT ROWID"""
_READ = """
SELECT epoch, name, defined, power, folder, disks, config_drive, console FROM guest WHERE node = ? AND uuid = ?"""


@dataclass(slots=True)
class FakeGuest:
    """A guest, its disk folder, or both; `disks` are the names of those made."""

    epoch: int = 0
    name: str = ""
    defined: bool = False
    power: PowerState = PowerState.SHUTDOWN
    folder: bool = False
    disks: tuple[str, ...] = ()
    config_drive: dict[str, bytes] | None = None
    console: bytes = b""

    def make_disks(self, disks: tuple[Disk, ...], config_drive: dict[str, bytes] | None) -> None:
        """Make the folder, and what is not yet in it."""
        self.folder = True
        self.disks = tuple(dict.fromkeys((*self.disks, *(disk.name for disk in disks))))
        if self.config_drive is None:
            self.config_drive = config_drive


class FakeStore:
    """Guests by node and uuid; every write is there for the next process when the call returns."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "guests.sqlite3", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute(_TABLE)

    def read(self, node: str, uuid: UUID) -> FakeGuest | None:
        """Return what the node has of the guest."""
        row = self._db.execute(_READ, (node, uuid.hex)).fetchone()
        return _guest(row) if row else None

    def write(self, node: str, uuid: UUID, guest: FakeGuest) -> None:
        """Keep the guest as it is now; one that has neither definition nor folder is forgotten."""
        if not guest.defined and not guest.folder:
            self._db.execute("DELETE FROM guest WHERE node = ? AND uuid = ?", (node, uuid.hex))
            return
        drive = None if guest.config_drive is None else msgspec.json.encode(guest.config_drive).decode()
        self._db.execute(
            "INSERT OR REPLACE INTO guest VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                node, uuid.hex, guest.epoch, guest.name, guest.defined, guest.power.value,
                guest.folder, "/".join(guest.disks), drive, guest.console,
            ),
        )  # fmt: skip

    def defined(self, node: str) -> list[tuple[UUID, str, PowerState, int]]:
        """Return uuid, name, power state and epoch of every guest on the node."""
        rows = self._db.execute(
            "SELECT uuid, name, power, epoch FROM guest WHERE node = ? AND defined", (node,)
        )
        return [(UUID(uuid), name, PowerState(power), epoch) for uuid, name, power, epoch in rows]

    def folders(self, node: str) -> tuple[UUID, ...]:
        """Return the uuids of which the node has a folder."""
        rows = self._db.execute("SELECT uuid FROM guest WHERE node = ? AND folder", (node,))
        return tuple(UUID(uuid) for (uuid,) in rows)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _guest(row: tuple[int, str, int, int, int, str, str | None, bytes]) -> FakeGuest:
    epoch, name, defined, power, folder, disks, drive, console = row
    return FakeGuest(
        epoch=epoch,
        name=name,
        defined=bool(defined),
        power=PowerState(power),
        folder=bool(folder),
        disks=tuple(disks.split("/")) if disks else (),
        config_drive=None if drive is None else msgspec.json.decode(drive, type=dict[str, bytes]),
        console=console,
    )
