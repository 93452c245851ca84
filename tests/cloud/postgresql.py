"""A PostgreSQL cluster of its own for a cloud under test: on a socket, owned by somebody who is not root.

Its commits outlive a killed server, not a power cut.
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path("/usr/lib/postgresql")
OPTIONS = (
    "listen_addresses=",
    "fsync=off",
    "full_page_writes=off",
    "max_connections=60",
    "shared_buffers=32MB",
)
TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster with its data, its log and its socket in one folder."""

    folder: Path
    listen: tuple[str, ...] = ()  # options of one that others reach over the network, too

    @classmethod
    def make(cls, *listen: str, access: str = "") -> "Cluster":
        """Return a new cluster that runs; access is a line of who may come over the network, and how."""
        folder = Path(tempfile.mkdtemp(prefix="computecloud-pg-"))
        cluster = cls(folder, listen)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        cluster._run("initdb", "-D", "data", "-A", "trust", "-U", "test")
        if access:
            with (folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write(f"{access}\n")
        cluster.start()
        return cluster

    @property
    def url(self) -> str:
        """Return its database's address."""
        return self.url_at(self.folder)

    @staticmethod
    def url_at(socket_folder: Path) -> str:
        """Return the address of its database as it is behind a socket in this folder."""
        return f"postgresql://test@/postgres?host={socket_folder}"

    @property
    def socket(self) -> Path:
        """Return its socket."""
        return self.folder / ".s.PGSQL.5432"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = " ".join(
            f"-c {option}" for option in (*OPTIONS, *self.listen, f"unix_socket_directories={self.folder}")
        )
        self._run("pg_ctl", "-D", "data", "-l", "log", "-w", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: fast ends every session, immediate is a crash."""
        self._run("pg_ctl", "-D", "data", "-m", mode, "-w", "stop")

    def remove(self) -> None:
        """Stop it and remove its data."""
        self.stop("immediate")
        shutil.rmtree(self.folder)

    def _run(self, program: str, *words: str) -> None:
        """Run a program of PostgreSQL's as its user; what it starts must not keep a pipe of ours open."""
        path = max(PROGRAMS.glob(f"*/bin/{program}"), key=lambda found: int(found.parts[-3]))
        prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        with (self.folder / f"{program}.log").open("a") as log:
            done = subprocess.run(
                [*prefix, str(path), *words], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                timeout=TIMEOUT_S, check=False,
            )  # fmt: skip
        assert done.returncode == 0, (self.folder / f"{program}.log").read_text()
