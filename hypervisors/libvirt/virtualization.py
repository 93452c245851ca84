"""Whether this machine can run guests by KVM, proved and not assumed, and what hardware guests then see."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import libvirt
from lxml import etree

from hypervisors.driver import CallFailed

KVM = Path("/dev/kvm")
CPU_INFO = Path("/proc/cpuinfo")
_KVM_GET_API_VERSION = 0xAE00
_KVM_API_VERSION = 12

# x86-64-v2, which today's distributions are built for, of a make for which kernels need no costly mitigations
TCG_MODEL = "qemu64"
TCG_FEATURES = ("ssse3", "sse4.1", "sse4.2", "popcnt", "lahf_lm")


@dataclass(frozen=True, slots=True)
class Platform:
    """What a guest's XML needs to know of the host."""

    kvm: bool
    architecture: str = "x86_64"

    @property
    def domain_type(self) -> str:
        """Return libvirt's name of it."""
        return "kvm" if self.kvm else "qemu"


def choose(connect: Any, virt_type: Literal["auto", "kvm", "qemu"]) -> Platform:
    """Return the platform; raises CallFailed where KVM is asked for by name and does not work."""
    architecture = str(connect.getInfo()[0])
    if virt_type == "qemu":
        return Platform(kvm=False, architecture=architecture)
    obstacle = obstacle_to_kvm(cpu_flags(), KVM) or _libvirt_obstacle(connect, architecture)
    if obstacle and virt_type == "kvm":
        raise CallFailed(f"KVM is asked for, but {obstacle}; set the virtualization type to auto or qemu")
    return Platform(kvm=not obstacle, architecture=architecture)


def obstacle_to_kvm(flags: frozenset[str], device: Path) -> str:
    """Return why the processor or the device does not do KVM; empty where they do."""
    if not flags & {"vmx", "svm"}:
        return "the processor offers neither vmx nor svm"
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return f"{device} does not open: {error.strerror}"
    try:
        version = fcntl.ioctl(descriptor, _KVM_GET_API_VERSION, 0)
    except OSError as error:
        return f"{device} does not answer: {error.strerror}"
    finally:
        os.close(descriptor)
    return "" if version == _KVM_API_VERSION else f"{device} speaks version {version}, not {_KVM_API_VERSION}"


def cpu_flags(cpu_info: Path = CPU_INFO) -> frozenset[str]:
    """Return the flags of the first processor."""
    for line in cpu_info.read_text().splitlines():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def guest_cpu_features(connect: Any, platform: Platform) -> frozenset[str]:
    """Return the processor features, by libvirt's names, that guests on this host can use."""
    if platform.kvm:
        host = etree.fromstring(connect.getCapabilities()).findall("host/cpu/feature")
        return frozenset(str(feature.get("name")) for feature in host)
    cpu = "".join(f"<feature policy='require' name='{name}'/>" for name in TCG_FEATURES)
    full = connect.baselineHypervisorCPU(
        None,
        platform.architecture,
        None,
        platform.domain_type,
        [f"<cpu mode='custom' match='exact'><model>{TCG_MODEL}</model>{cpu}</cpu>"],
        libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES,
    )
    required = etree.fromstring(full).findall("feature[@policy='require']")
    return frozenset(str(feature.get("name")) for feature in required)


def _libvirt_obstacle(connect: Any, architecture: str) -> str:
    try:
        connect.getDomainCapabilities(None, architecture, None, "kvm")
    except libvirt.libvirtError as error:
        return f"libvirt cannot: {error}"
    return ""
