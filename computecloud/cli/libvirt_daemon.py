"""libvirtd on this machine: one that runs already is used; where none does, we run our own."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from computecloud.cli.failures import Failure
from computecloud.cli.installation import Installation
from computecloud.cli.processes import alive, end
from computecloud.cli.programs import libvirtd, which

URI = "qemu:///system"
CONFIGURATION = {
    "libvirtd.conf": 'auth_unix_rw = "none"\nauth_unix_ro = "none"\nunix_sock_rw_perms = "0700"\n',
    "qemu.conf": 'user = "root"\ngroup = "root"\nsecurity_driver = "none"\nnamespaces = []\n',
}
QEMU_USER = "libvirt-qemu"  # libvirtd does not start where there is none, though it uses another
ACCOUNT = {
    "passwd": f"{QEMU_USER}:x:64055:64055::/:/usr/sbin/nologin\n",
    "group": f"{QEMU_USER}:x:64055:\n",
}
LOGS = Path("/var/log/libvirt")
RUN = Path("/run/libvirt")
# The first to ask waits while libvirt tries QEMU out: 2 s, ten times that where the machine is busy.
PROBE_S = 60
START_S = 60.0


def answers(uri: str) -> bool:
    """Tell whether a libvirtd answers at this address; a child process asks, as a hung one would hang us."""
    command = [which("virsh", "libvirt-clients"), "-c", uri, "version", "--daemon"]
    try:
        return subprocess.run(command, capture_output=True, timeout=PROBE_S, check=False).returncode == 0
    except subprocess.TimeoutExpired as error:
        raise Failure(
            f"libvirtd at {uri} hangs", advice="look at it with virsh; restart it; then run bin/up again"
        ) from error


def require_root() -> None:
    """Raise Failure where this user may not make networks and guests."""
    if os.geteuid() != 0:
        raise Failure(
            "real guests need root: for bridges, namespaces and libvirtd",
            advice="run sudo bin/up, or bin/up --driver fake for a cloud without guests",
        )


def write_configuration(installation: Installation) -> None:
    """Write what our own libvirtd reads; raises Failure where QEMU could not come to the disks.

    QEMU runs as root without capabilities: libvirt-daemon-system, which makes a user for it, is not installed where
    no libvirtd runs. The socket is for root alone.
    """
    for folder in installation.state.parents:
        facts = folder.stat()
        if facts.st_uid != 0 and not facts.st_mode & 0o001:
            raise Failure(
                f"QEMU cannot pass through {folder} to the guests' disks",
                advice=f"chmod o+x {folder}, or bin/up --state-dir /var/lib/computecloud",
            )
    folder = installation.state / "libvirt"
    folder.mkdir(exist_ok=True)
    for name, text in CONFIGURATION.items():
        (folder / name).write_text(text)
    for name, line in ACCOUNT.items():
        known = Path("/etc", name).read_text()
        (folder / name).write_text(known if f"{QEMU_USER}:" in known else known + line)


def start_log_daemon(installation: Installation) -> None:
    """Start virtlogd, if none runs. It writes the guests' consoles and must outlive bin/down, as they do."""
    if not RUN.exists():
        _run_is_ours(installation).touch()
    if _runs(Path("/run/virtlogd.pid")) or _runs(_pid_file(installation)):
        return
    pid_file = _pid_file(installation)
    pid_file.unlink(missing_ok=True)
    LOGS.mkdir(exist_ok=True)  # the package leaves that to another one
    command = [which("virtlogd", "libvirt-daemon"), "--daemon", "--pid-file", str(pid_file)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode and not (RUN / "virtlogd-sock").exists():
        raise Failure(
            f"virtlogd did not start: {result.stderr.strip()}",
            advice="start virtlogd by hand, then run bin/up again",
        )


def stop_log_daemon(installation: Installation) -> None:
    """Stop the virtlogd that start_log_daemon started."""
    pid_file = _pid_file(installation)
    if _runs(pid_file):
        end([int(pid_file.read_text())])
    pid_file.unlink(missing_ok=True)


def remove_run(installation: Installation) -> None:
    """Remove libvirt's folder in /run if it came with us; it stays where anybody else's guests or daemons use it."""
    if not _run_is_ours(installation).exists() or any(RUN.glob("qemu/*.xml")):
        return
    if not (_runs(Path("/run/virtlogd.pid")) or answers(URI)):
        shutil.rmtree(RUN, ignore_errors=True)


@contextmanager
def serving(installation: Installation, settings: dict[str, str]) -> Iterator[None]:
    """Have a libvirtd answer while the block runs: our own where no other does. Raises Failure."""
    uri = settings.get("LIBVIRT_URI", URI)
    if answers(uri):
        yield
        return
    write_configuration(installation)
    start_log_daemon(installation)
    log = installation.log / "libvirtd.log"
    with log.open("ab") as output:
        process = subprocess.Popen(libvirtd(installation).command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_S
        while not answers(uri):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failure(
                    "libvirtd does not answer", log=log, advice="mend what the log says, then run this again"
                )
            time.sleep(0.1)
        yield
    finally:
        end([process.pid])
        process.wait()


def _pid_file(installation: Installation) -> Path:
    return installation.run / "virtlogd.pid"


def _run_is_ours(installation: Installation) -> Path:
    return installation.run / "libvirt-is-ours"


def _runs(pid_file: Path) -> bool:
    with suppress(FileNotFoundError, ValueError):
        return alive(int(pid_file.read_text()))
    return False
