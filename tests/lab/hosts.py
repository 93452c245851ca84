"""Lab hosts: made with a network between them, entered, killed, and gone without a trace.

Only within a room (tests/cloud/room): bridges and namespaces would be the machine's own otherwise.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.cloud.cloud import until
from tests.patience import patience

INIT = Path(__file__).with_name("init")
BRIDGE, MACHINE, NETWORK = "lab0", "10.77.0.1", "10.77.0.0/24"
READY_S = 30.0


def ip(*words: str) -> None:
    """Run ip."""
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@dataclass
class LabHost:
    """One host; `number` gives its name and address."""

    number: int
    folder: Path
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def name(self) -> str:
        """Return its name."""
        return f"lab{self.number}"

    @property
    def address(self) -> str:
        """Return its address on the lab's network."""
        return f"10.77.0.{10 + self.number}"

    @property
    def pid(self) -> int:
        """Return its process 1, as the machine sees it."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(children[0])

    @property
    def fingerprint(self) -> str:
        """Return its SSH key's fingerprint, as ssh-keygen shows it."""
        shown = subprocess.run(
            ["ssh-keygen", "-lf", str(self.folder / "ssh_host.pub")],
            capture_output=True,
            text=True,
            check=True,
        )
        return shown.stdout.split()[1]

    def start(self, shared: dict[Path, str]) -> None:
        """Start it; shared names folders of the machine, and where it sees them."""
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(self.folder)], check=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "ssh_host")], check=True
        )
        shutil.copy(self.folder.parent / "key.pub", self.folder / "authorized_keys")
        if shared:
            (self.folder / "shared").mkdir()
            lines = "".join(f"{source} {target}\n" for source, target in shared.items())
            (self.folder / "shared" / "list").write_text(lines)
        log = (self.folder.parent / f"{self.name}.log").open("ab")
        spaces = ("--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc")
        self._process = subprocess.Popen(
            ["unshare", *spaces, str(INIT), str(self.folder), self.name],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        until(self._has_own_network, READY_S, f"{self.name} to have a network of its own")
        ip("link", "add", f"to-{self.name}", "type", "veth", "peer", "name", "eth0", "netns", str(self.pid))
        ip("link", "set", f"to-{self.name}", "master", BRIDGE, "up")
        self.run("ip", "link", "set", "lo", "up", root=False)
        self.run("ip", "addr", "add", f"{self.address}/24", "dev", "eth0", root=False)
        self.run("ip", "link", "set", "eth0", "up", root=False)
        self.run("ip", "route", "add", "default", "via", MACHINE, root=False)
        until(lambda: "ready" in self.said(), READY_S, f"{self.name} to be ready: {self.said()}")

    def _has_own_network(self) -> bool:
        try:
            return os.readlink(f"/proc/{self.pid}/ns/net") != os.readlink("/proc/self/ns/net")
        except (OSError, IndexError):
            return False

    def said(self) -> str:
        """Return what its process 1 and its sshd printed."""
        return (self.folder.parent / f"{self.name}.log").read_text()

    def run(self, *words: str, root: bool = True, check: bool = True) -> str:
        """Run a command in it; without root it sees the machine's files, in its network."""
        enter = ["--all"] if root else ["--net"]
        done = subprocess.run(
            ["nsenter", "-t", str(self.pid), *enter, *words],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=120 * patience(),
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def destroy(self) -> None:
        """Kill all of it, and have its file system go."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(READY_S)
        subprocess.run(["ip", "link", "del", f"to-{self.name}"], check=False, capture_output=True)
        subprocess.run(["umount", "-l", str(self.folder)], check=False, capture_output=True)


@dataclass
class Lab:
    """Hosts on one network; the machine is 10.77.0.1 on it, `key` logs in to each as root."""

    folder: Path
    hosts: list[LabHost] = field(default_factory=list)

    @property
    def key(self) -> Path:
        """Return the private key."""
        return self.folder / "key"

    def add(self, shared: dict[Path, str] | None = None) -> LabHost:
        """Return another host."""
        number = len(self.hosts) + 1
        host = LabHost(number, self.folder / f"host{number}")
        host.folder.mkdir()
        self.hosts.append(host)
        host.start(shared or {})
        return host


@contextmanager
def lab() -> Iterator[Lab]:
    """Return a lab without hosts; all of it goes at the end."""
    made = Lab(Path(tempfile.mkdtemp(prefix="computecloud-lab-")))
    ip("link", "add", BRIDGE, "type", "bridge")
    try:
        ip("addr", "add", f"{MACHINE}/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(made.key)], check=True)
        yield made
    finally:
        for host in made.hosts:
            host.destroy()
        ip("link", "del", BRIDGE)
        shutil.rmtree(made.folder, ignore_errors=True)
