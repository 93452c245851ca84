"""A cloud of a test's own, started and stopped by the commands that a newcomer types."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.patience import patience

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Cloud:
    """Its state is in a folder with a short path; `options` are those of bin/up."""

    options: tuple[str, ...]
    state: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="cc-")))
    port: int = field(default_factory=free_port)

    def run(self, *words: str, check: bool = True, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of bin/; a failure shows what it said."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("COMPUTECLOUD_")}
        kept.pop("DJANGO_SETTINGS_MODULE", None)
        given = {"COMPUTECLOUD_STATE_DIR": str(self.state), **environment}
        command = [str(ROOT / "bin" / words[0]), *words[1:]]
        result = subprocess.run(
            command, env=kept | given, capture_output=True, text=True, check=False, timeout=600 * patience()
        )
        assert not check or result.returncode == 0, f"{words}\n{result.stdout}\n{result.stderr}"
        return result

    def up(self, *more: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return self.run("up", *self.options, "--port", str(self.port), *more, check=check)

    def openstack(self, *words: str) -> str:
        return self.run("openstack", *words).stdout

    def purge(self) -> None:
        if self.state.exists():
            self.run("down", "--purge", check=False)
        shutil.rmtree(self.state, ignore_errors=True)

    def pids(self) -> dict[str, int]:
        """Return the processes under the supervisor, and supervisord, by name."""
        text = self.run("computecloud", "status", check=False).stdout
        found = {
            name: int(pid) for name, pid in re.findall(r"^(\S+) +RUNNING +pid (\d+)", text, re.MULTILINE)
        }
        return found | {"supervisord": int((self.state / "run" / "supervisord.pid").read_text())}

    def processes(self) -> list[int]:
        """Return every process that carries the state folder in its environment or in its words."""
        mark, found = str(self.state).encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                facts = (folder / "cmdline").read_bytes() + b"\0" + (folder / "environ").read_bytes()
            except OSError:
                continue
            if mark in facts and int(folder.name) != os.getpid():
                found.append(int(folder.name))
        return found


def proportional_mib(pid: int) -> float:
    """Return a process's share of the memory in MiB."""
    line = next(
        line for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:")
    )
    return int(line.split()[1]) / 1024
