"""A libvirtd and a virtlogd of a test session's own, in namespaces of their own: no other one notices them.

Run as a program it is process 1 of those namespaces: it mounts a private folder over each of libvirt's, starts both
daemons, starts libvirtd again when it ends, and reaps orphans (guests) at once.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

DAEMON_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
FOLDERS = {name: Path(f"/{place}/libvirt") for name, place in (
    ("run", "run"), ("lib", "var/lib"), ("cache", "var/cache"), ("log", "var/log"), ("etc", "etc"),
)}  # fmt: skip
LIBVIRTD_CONF = 'unix_sock_dir = "{root}/sock"\nauth_unix_rw = "none"\nauth_unix_ro = "none"\n'
QEMU_CONF = (
    'security_driver = "none"\nuser = "root"\ngroup = "root"\nnamespaces = []\ncgroup_controllers = []\n'
)
ACCOUNTS = {"passwd": "libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin", "group": "libvirt-qemu:x:64055:"}
READY_S = 60.0  # the first start probes QEMU


class PrivateLibvirt:
    """Starts on construction; needs root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = f"qemu+unix:///system?socket={root}/sock/libvirt-sock"
        for folder in [root / "sock", *(root / name for name in FOLDERS), *FOLDERS.values()]:
            folder.mkdir(parents=True, exist_ok=True)
        (root / "etc" / "libvirtd.conf").write_text(LIBVIRTD_CONF.format(root=root))
        (root / "etc" / "qemu.conf").write_text(QEMU_CONF)
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        with (root / "init.log").open("wb") as log:
            self._unshare = subprocess.Popen(
                [*command, sys.executable, __file__, str(root)], stdout=log, stderr=log
            )
        self.await_ready()

    def await_ready(self) -> None:
        """Wait until libvirtd listens."""
        deadline = time.monotonic() + READY_S
        while not (self.root / "sock" / "libvirt-sock").exists() or not self._pids():
            if self._unshare.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"libvirtd does not start; see {self.root}/init.log")
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        """Send libvirtd a signal."""
        for pid in self._pids():
            os.kill(pid, number)

    def kill(self) -> None:
        """Kill libvirtd; it is started again unless held."""
        (self.root / "sock" / "libvirt-sock").unlink()
        self.signal(signal.SIGKILL)

    def hold(self) -> None:
        """Do not start libvirtd again until release()."""
        (self.root / "hold").touch()

    def release(self) -> None:
        """Let libvirtd be started again, and wait for it."""
        (self.root / "hold").unlink(missing_ok=True)
        self.await_ready()

    def guest_pids(self) -> list[int]:
        """Return the processes of the guests."""
        return self._children("qemu-system")

    def close(self) -> None:
        """End everything in the namespaces."""
        self._unshare.kill()
        self._unshare.wait()

    def _pids(self) -> list[int]:
        return self._children("libvirtd")

    def _children(self, name: str) -> list[int]:
        found = []
        for pid in _child_pids(self._unshare.pid):
            for child in _child_pids(pid):
                try:
                    if Path(f"/proc/{child}/comm").read_text().startswith(name):
                        found.append(child)
                except OSError:
                    continue
        return found


def can_run() -> str:
    """Return why a private libvirt cannot run here; empty where it can."""
    if os.geteuid() != 0:
        return "a private libvirtd needs root"
    for program in ("unshare", "libvirtd", "virtlogd", "qemu-system-x86_64", "qemu-img"):
        if not shutil.which(program, path=DAEMON_PATH):
            return f"{program} is not installed"
    return ""


def _child_pids(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _mount_private(root: Path) -> None:
    for name, place in FOLDERS.items():
        subprocess.run(["mount", "--bind", root / name, place], check=True)
    for name, line in ACCOUNTS.items():  # libvirtd does not start without the account that QEMU could run as
        text = Path("/etc", name).read_text()
        if "libvirt-qemu:" not in text:
            (root / name).write_text(f"{text}{line}\n")
            subprocess.run(["mount", "--bind", root / name, Path("/etc", name)], check=True)


def _be_init(root: Path) -> None:
    os.environ["PATH"] = DAEMON_PATH
    _mount_private(root)
    subprocess.Popen(["virtlogd", "--pid-file", root / "virtlogd.pid"])
    command = ["libvirtd", "--config", root / "etc" / "libvirtd.conf", "--pid-file", root / "libvirtd.pid"]
    libvirtd: int | None = None
    while True:
        if libvirtd is None and not (root / "hold").exists():
            libvirtd = subprocess.Popen(command).pid
        ended, _ = os.waitpid(-1, os.WNOHANG)
        if ended == libvirtd:
            libvirtd = None
        if not ended:
            time.sleep(0.01)


if __name__ == "__main__":
    _be_init(Path(sys.argv[1]))
