"""A guest's machine but for its devices: firmware, kernel, processor, clock, and what it may use of its host.

Form: https://libvirt.org/formatdomain.html.
"""

from hypervisors import hardware
from hypervisors.driver import CallFailed, GuestSpec
from hypervisors.hardware import Hardware
from hypervisors.libvirt.devices import Element, node
from hypervisors.libvirt.folders import GuestFolder
from hypervisors.libvirt.virtualization import TCG_FEATURES, TCG_MODEL, Platform
from hypervisors.libvirt.words import printable

TCG_CACHE_MIB = 32  # of translated code; QEMU's own choice may take a GiB a guest
MACHINES = {"x86_64": ("q35", "pc"), "aarch64": ("virt",)}
SPINLOCK_RETRIES = 8191
# What Windows asks of its hypervisor, by libvirt's names (source: QEMU's docs/system/i386/hyperv.rst)
ENLIGHTENMENTS = ("relaxed", "vapic", "vpindex", "runtime", "synic", "stimer", "reset", "frequencies")


def choose(spec: GuestSpec, platform: Platform) -> str:
    """Return the machine type; raises CallFailed where it is none of the architecture, or has no such disk bus."""
    families, wanted = MACHINES.get(platform.architecture, ()), spec.hardware.machine
    needs_ide = "ide" in {*(disk.bus for disk in spec.disks), spec.hardware.cdrom_bus}
    if not wanted and needs_ide and "pc" in families:
        return "pc"
    machine = wanted or (families[0] if families else "")
    if hardware.family(machine) not in families:
        raise CallFailed(
            f"no machine {machine!r} for {platform.architecture}: hw_machine_type may be {families}"
        )
    if needs_ide and hardware.family(machine) != "pc":
        raise CallFailed(f"hw_machine_type={machine} has no ide bus: only pc has")
    return machine


def system(spec: GuestSpec, platform: Platform, folder: GuestFolder) -> list[Element]:
    """Return <os> and the SMBIOS tables, by which guests' software recognises an OpenStack cloud."""
    wanted = spec.hardware
    system = node("os", node("type", "hvm", arch=platform.architecture, machine=choose(spec, platform)))
    if wanted.uefi:
        system.set("firmware", "efi")
        system.append(_secure_boot(enabled="yes" if wanted.secure_boot else "no"))
    if wanted.direct_boot is not None:
        system.append(node("kernel", str(folder.kernel)))
        if wanted.direct_boot.ramdisk is not None:
            system.append(node("initrd", str(folder.ramdisk)))
        system.append(node("cmdline", printable(wanted.direct_boot.command_line)))
    if wanted.boot_menu:
        system.append(node("bootmenu", enable="yes"))
    system.append(node("smbios", mode="sysinfo"))
    entries = {
        "manufacturer": "ComputeCloud",
        "product": "OpenStack Compute",
        "serial": str(spec.uuid),
        "uuid": str(spec.uuid),
        "family": "Virtual Machine",
    }
    tables = node("system", *(node("entry", text, name=name) for name, text in entries.items()))
    return [node("sysinfo", tables, type="smbios"), system]


def _secure_boot(*, enabled: str) -> Element:
    """Return the choice of firmware; one that checks signatures has the keys of known makers in it."""
    features = [node("feature", enabled=enabled, name="secure-boot")]
    if enabled == "yes":
        features.insert(0, node("feature", enabled="yes", name="enrolled-keys"))
    return node("firmware", *features)


def processor(spec: GuestSpec, platform: Platform) -> list[Element]:
    """Return <features> and <cpu>."""
    return [_features(spec.hardware, platform), _cpu(spec, platform)]


def _features(wanted: Hardware, platform: Platform) -> Element:
    features = node("features", node("acpi"), node("apic"))
    if wanted.pmu is not None:
        features.append(node("pmu", state="on" if wanted.pmu else "off"))
    if wanted.secure_boot:
        features.append(node("smm", state="on"))
    if not platform.kvm:
        features.append(node("tcg", node("tb-cache", str(TCG_CACHE_MIB), unit="MiB")))
        return features
    if wanted.windows:
        hyperv = node("hyperv", *(node(name, state="on") for name in ENLIGHTENMENTS))
        hyperv.append(node("spinlocks", state="on", retries=SPINLOCK_RETRIES))
        features.append(hyperv)
    if wanted.hides_hypervisor:
        features.append(node("kvm", node("hidden", state="on")))
    return features


def _cpu(spec: GuestSpec, platform: Platform) -> Element:
    topology = _topology(spec)
    if platform.kvm:
        return node("cpu", *topology, mode="host-model", check="partial")
    if platform.architecture != "x86_64":
        return node("cpu", *topology, mode="maximum")
    wanted = [node("feature", policy="require", name=name) for name in TCG_FEATURES]
    model = node("model", TCG_MODEL, fallback="forbid")
    return node("cpu", model, *topology, *wanted, mode="custom", match="exact", check="partial")


def _topology(spec: GuestSpec) -> list[Element]:
    topology = spec.hardware.topology
    if topology is None:
        return []
    if topology.vcpus != spec.vcpus:
        raise CallFailed(
            f"hw_cpu_sockets, cores and threads make {topology.vcpus} of {spec.vcpus} processors"
        )
    return [
        node("topology", sockets=topology.sockets, dies=1, cores=topology.cores, threads=topology.threads)
    ]


def clock(wanted: Hardware, platform: Platform) -> Element:
    """Return <clock>: UTC, and for Windows local time, which it takes its hardware clock to have."""
    timers = [
        node("timer", name="rtc", tickpolicy="catchup"),
        node("timer", name="hpet", present="yes" if wanted.hpet else "no"),
    ]
    if platform.kvm:
        timers.append(node("timer", name="pit", tickpolicy="delay"))
        if wanted.windows:
            timers.append(node("timer", name="hypervclock", present="yes"))
    return node("clock", *timers, offset="localtime" if wanted.windows else "utc")


def tuning(wanted: Hardware) -> list[Element]:
    """Return <cputune>, where the flavor has a say in it."""
    if not wanted.limits.cpu:
        return []
    return [node("cputune", *(node(name, str(value)) for name, value in wanted.limits.cpu.items()))]
