"""What a machine is like, asked over SSH by a script that needs nothing but a POSIX shell, and whether it will do."""

import shlex
import time
from collections.abc import Iterable
from dataclasses import dataclass

from computecloud.cli.failures import Failure
from hypervisors.ssh import Remote

ARCHITECTURES = ("x86_64", "aarch64")
DEBIAN_MIN, PYTHON_MIN = 12, (3, 11)
DISK_MIN_GIB = 5
SKEW_MAX_S = 5.0  # the clocks of several machines must agree to within a lease (30 s)
REACH_S = 10
ABI = "import sys, sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))"

_ASK = f"""
. /etc/os-release 2>/dev/null
echo "system=${{ID:-unknown}}"; echo "version=${{VERSION_ID:-}}"
echo "architecture=$(uname -m)"; echo "name=$(hostname)"; echo "uid=$(id -u)"
echo "python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)"
echo "abi=$(python3 -c {shlex.quote(ABI)} 2>/dev/null)"
mkdir -p /var/lib/computecloud
echo "disk_gib=$(df -P -k /var/lib/computecloud | awk 'NR == 2 {{ print int($4 / 1048576) }}')"
echo "memory_mib=$(awk '/^MemTotal/ {{ print int($2 / 1024) }}' /proc/meminfo)"
[ -d /run/systemd/system ] && echo systemd=yes || echo systemd=no
if grep -qwE 'vmx|svm' /proc/cpuinfo && [ -w /dev/kvm ]; then echo kvm=yes; else echo kvm=no; fi
echo "time=$(date +%s.%N)"
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """A machine: skew_s is how far its clock is ahead of ours, at least."""

    name: str
    system: str
    version: str
    architecture: str
    uid: int
    python: str
    abi: str  # how its Python names compiled modules; empty where it has none
    disk_gib: int
    memory_mib: int
    systemd: bool
    kvm: bool
    skew_s: float

    def in_words(self) -> str:
        """Say it in a line."""
        runs = "KVM" if self.kvm else "no KVM: guests are emulated"
        return (
            f"{self.system} {self.version}, {self.architecture}, Python {self.python or 'is missing'}, {runs}, "
            f"{self.memory_mib} MiB, {self.disk_gib} GiB free, clock {self.skew_s:+.1f} s"
        )


def ask(remote: Remote) -> Facts:
    """Return what the machine is like; raises RemoteError."""
    before = time.time()
    said = dict(line.partition("=")[::2] for line in remote.run(_ASK).splitlines() if "=" in line)
    after, there = time.time(), float(said["time"])
    skew_s = there - after if there > after else min(there - before, 0.0)
    return Facts(
        name=said["name"],
        system=said["system"],
        version=said["version"],
        architecture=said["architecture"],
        uid=int(said["uid"]),
        python=said["python"],
        abi=said["abi"],
        disk_gib=int(said["disk_gib"] or 0),
        memory_mib=int(said["memory_mib"] or 0),
        systemd=said["systemd"] == "yes",
        kvm=said["kvm"] == "yes",
        skew_s=skew_s,
    )


def address_towards(remote: Remote, machine: str) -> str:
    """Return the IPv4 address by which the machine reaches another; empty where it has no way to it."""
    find = f"getent ahostsv4 {shlex.quote(machine)} | awk 'NR == 1 {{ print $1 }}'"
    said = remote.run(f'ip -4 -oneline route get "$({find})" 2>/dev/null || true').split()
    return said[said.index("src") + 1] if "src" in said else ""


def obstacles(facts: Facts) -> list[str]:
    """Return what is wrong with a machine, in words; none where it will do."""
    found = []
    if facts.uid != 0:
        found.append("commands do not run as root: let the user use sudo without a password")
    major = facts.version.partition(".")[0]
    if facts.system != "debian" or (major.isdecimal() and int(major) < DEBIAN_MIN):
        found.append(f"it is {facts.system} {facts.version}, not Debian {DEBIAN_MIN} or later")
    if facts.architecture not in ARCHITECTURES:
        found.append(f"its architecture {facts.architecture} is none of {', '.join(ARCHITECTURES)}")
    if facts.python and tuple(map(int, facts.python.split("."))) < PYTHON_MIN:
        found.append(f"its Python is {facts.python}, not 3.11 or later")
    if facts.disk_gib < DISK_MIN_GIB:
        found.append(f"{facts.disk_gib} GiB are free in /var/lib, less than {DISK_MIN_GIB}")
    if abs(facts.skew_s) > SKEW_MAX_S:
        found.append(f"its clock differs from ours by {facts.skew_s:+.0f} s: run NTP on both")
    return found


def require_fit(facts: Facts) -> None:
    """Raise Failure naming all that is wrong with a machine."""
    if found := obstacles(facts):
        raise Failure(
            f"{facts.name} cannot be a host: {'; '.join(found)}", advice="mend that, and run this again"
        )


def require_reach(remote: Remote, places: Iterable[tuple[str, str, int]]) -> None:
    """Raise Failure naming what (name, machine, port) the machine cannot open a connection to."""
    lost = [
        f"{name} at {machine}:{port}"
        for name, machine, port in places
        if not remote.succeeds(
            f"timeout {REACH_S} bash -c {shlex.quote(f'</dev/tcp/{machine}/{port}')} 2>/dev/null"
        )
    ]
    if lost:
        raise Failure(
            f"{remote.target.machine} does not reach: {', '.join(lost)}",
            advice="see that each listens on that address and no firewall is between, and run this again",
        )
