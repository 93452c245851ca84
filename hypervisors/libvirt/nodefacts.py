"""What a libvirt host has: processors, memory, disk, and the traits that scheduling asks for."""

import os
import socket
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from lxml import etree

from hypervisors.driver import NodeFacts
from hypervisors.libvirt import abilities, virtualization
from hypervisors.libvirt.virtualization import Platform

MIB_IN_KIB = 1024
GIB = 1024**3

# libvirt's name of a processor feature to the part of its trait after HW_CPU_X86_ (source: os-traits)
CPU_TRAITS: Final = {
    **{
        name: name.upper()
        for name in (
            "avx", "avx2", "fma4", "f16c", "mmx", "sse", "sse2", "ssse3", "sse4a", "xop", "3dnow", "abm", "bmi2",
            "tbm", "mpx", "sgx", "vmx", "svm", "pdpe1gb", "stibp", "avx512f", "avx512cd", "avx512pf", "avx512er",
            "avx512vl", "avx512bw", "avx512dq", "avx512vnni", "avx512vbmi", "avx512ifma", "avx512vbmi2",
            "avx512bitalg",
        )
    },
    "pni": "SSE3", "sse4.1": "SSE41", "sse4.2": "SSE42", "pclmuldq": "CLMUL", "fma": "FMA3", "bmi1": "BMI",
    "aes": "AESNI", "sha-ni": "SHA", "rtm": "TSX", "vaes": "AVX512VAES", "gfni": "AVX512GFNI",
    "vpclmulqdq": "AVX512VPCLMULQDQ", "avx512-vpopcntdq": "AVX512VPOPCNTDQ",
}  # fmt: skip


def read(connect: Any, platform: Platform, *, name: str, uuid: UUID, state_dir: Path) -> NodeFacts:
    """Ask libvirt and the file system."""
    features = virtualization.guest_cpu_features(connect, platform)
    disk = os.statvfs(state_dir)
    return NodeFacts(
        name=name,
        uuid=uuid,
        hypervisor_type="KVM" if platform.kvm else "QEMU",
        hypervisor_version=connect.getVersion(),
        vcpus=connect.getInfo()[2],
        memory_mib=connect.getMemoryStats(-1)["total"] // MIB_IN_KIB,  # getInfo() may be wrong in a container
        disk_gib=disk.f_blocks * disk.f_frsize // GIB,
        architecture=platform.architecture,
        cpu_info=_cpu_info(connect.getCapabilities(), features),
        traits=_traits(connect, platform, features),
        host_ip=own_address(),
    )


def own_address() -> str:
    """Return the address that this machine would send from; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _traits(connect: Any, platform: Platform, features: frozenset[str]) -> frozenset[str]:
    return frozenset(
        [
            "COMPUTE_IMAGE_TYPE_QCOW2",
            "COMPUTE_IMAGE_TYPE_RAW",
            *abilities.of_host(connect, platform).traits(),
            *(f"{family}_ARCH_{platform.architecture.upper()}" for family in ("HW", "COMPUTE")),
            *(f"HW_CPU_X86_{CPU_TRAITS[feature]}" for feature in features & CPU_TRAITS.keys()),
        ]
    )


def _cpu_info(capabilities: str, features: frozenset[str]) -> dict[str, Any]:
    """Return the processor in the form of the Compute API's cpu_info."""
    cpu = etree.fromstring(capabilities).find("host/cpu")
    if cpu is None:
        return {}
    topology = cpu.find("topology")
    return {
        "arch": cpu.findtext("arch", ""),
        "model": cpu.findtext("model", ""),
        "vendor": cpu.findtext("vendor", ""),
        "features": sorted(features),
        "topology": {} if topology is None else {str(name): int(value) for name, value in topology.items()},
    }
