"""What flavor and image together make of a guest's machine; where they disagree, a refusal in Nova's words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import hypervisors.hardware
from computecloud.wire.errors import InvalidInput
from hypervisors.hardware import Hardware, Limits, Topology, Tpm
from images import properties
from images.properties import Rule, flag, is_true, one_of, whole

_PARTS = ("sockets", "cores", "threads")
_UNLIMITED = 65_536  # sockets, cores or threads, where nobody says how many there may be
_DISK_LIMITS = tuple(f"{way}_{what}_sec" for way in ("read", "write", "total") for what in ("bytes", "iops"))
_LIMIT = whole(1, 2**53)
CPU_LIMITS: Mapping[str, Rule] = {  # libvirt's bounds
    "shares": whole(2, 262_144),
    "period": whole(1_000, 1_000_000),
    "quota": whole(1_000, 18_446_744_073_709_551),
}
SPECS: Mapping[str, Rule] = {
    **{f"hw:cpu_{most}{part}": properties.PROCESSORS for most in ("", "max_") for part in _PARTS},
    "hw:boot_menu": flag,
    "hw:serial_port_count": properties.SERIAL_PORTS,
    "hw:tpm_version": properties.RULES["hw_tpm_version"],
    "hw:tpm_model": properties.RULES["hw_tpm_model"],
    "hw:watchdog_action": properties.WATCHDOG,
    "hw:vif_multiqueue_enabled": flag,
    "hw:pmu": flag,
    "hw:hide_hypervisor_id": flag,
    "hw_rng:allowed": flag,
    "hw_rng:rate_bytes": whole(0, 2**31),
    "hw_rng:rate_period": whole(1, 2**31),
    "hw_video:ram_max_mb": whole(0, properties.VIDEO_RAM_MAX_MIB),
    "os:secure_boot": properties.SECURE_BOOT,
    **{f"quota:cpu_{name}": rule for name, rule in CPU_LIMITS.items()},
    **{f"quota:disk_{name}": _LIMIT for name in _DISK_LIMITS},
    **{
        f"quota:vif_{way}_{name}": _LIMIT
        for way in ("inbound", "outbound")
        for name in ("average", "peak", "burst")
    },
}
_TRAIT = one_of("required", "forbidden")
_DEVICES = ("hw_disk_bus", "hw_cdrom_bus", "hw_vif_model", "hw_video_model", "hw_firmware_type")
_PLAIN = {
    "hw_disk_bus": "virtio",
    "hw_vif_model": "virtio",
    "hw_firmware_type": "bios",
}  # every host has them


@dataclass(frozen=True, slots=True)
class Wanted:
    """A flavor and an image, as far as they shape the machine."""

    flavor_name: str
    vcpus: int
    specs: Mapping[str, str]
    image_name: str
    properties: Mapping[str, str]

    @classmethod
    def of_params(cls, params: Mapping[str, Any]) -> "Wanted":
        """Return what the parameters of a boot say."""
        flavor, image = params["flavor"], params["image"]
        return cls(flavor["name"], flavor["vcpus"], flavor["extra_specs"], image["name"], image["properties"])

    def agreed(self, key: str, *, prefix: str = "hw") -> str | None:
        """Return what flavor or image say; raises InvalidInput where both say something, and not the same."""
        flavor, image = self.specs.get(f"{prefix}:{key}"), self.properties.get(f"{prefix}_{key}")
        if flavor is not None and image is not None and _meaning(flavor) != _meaning(image):
            raise InvalidInput(
                f"Flavor {self.flavor_name} has {prefix}:{key} extra spec explicitly set to {flavor}, conflicting "
                f"with image {self.image_name} which has {prefix}_{key} explicitly set to {image}."
            )
        return image if flavor is None else flavor

    def image_says(self, key: str) -> bool:
        """Tell whether the image sets a flag."""
        return is_true(self.properties.get(key))

    def flavor_says(self, key: str) -> bool:
        """Tell whether the flavor sets a flag."""
        return is_true(self.specs.get(key))

    def number(self, key: str) -> int | None:
        """Return a number of the flavor's, by its whole key."""
        text = self.specs.get(key)
        return None if text is None else int(text)


def check_specs(specs: Mapping[str, str]) -> None:
    """Raise InvalidInput for an extra spec that is known here and cannot have its value."""
    for key, text in specs.items():
        rule = _TRAIT if key.startswith("trait:") else SPECS.get(key)
        if rule and (words := rule(text)):
            raise InvalidInput(f"Validation failed; extra spec {key} may not be '{text[:64]}': {words}.")


def build(wanted: Wanted) -> Hardware:
    """Return the machine; raises InvalidInput where flavor and image do not agree, or a value cannot be."""
    check_specs(wanted.specs)
    properties.check(wanted.properties)
    given = wanted.properties.get
    uefi = given("hw_firmware_type") == "uefi"
    watchdog = given("hw_watchdog_action") or wanted.specs.get("hw:watchdog_action", "disabled")
    pmu = wanted.agreed("pmu")
    input_bus = given("hw_input_bus", "")
    return Hardware(
        machine=given("hw_machine_type", ""),
        uefi=uefi,
        secure_boot=_secure_boot(wanted, uefi=uefi),
        boot_menu=wanted.flavor_says("hw:boot_menu") or wanted.image_says("hw_boot_menu"),
        topology=_topology(wanted),
        pmu=None if pmu is None else is_true(pmu),
        hides_hypervisor=wanted.flavor_says("hw:hide_hypervisor_id")
        or wanted.image_says("img_hide_hypervisor_id"),
        windows=given("os_type") == "windows",
        hpet=wanted.image_says("hw_time_hpet"),
        scsi_model=given("hw_scsi_model", "virtio-scsi"),
        cdrom_bus=given("hw_cdrom_bus", ""),
        nic_queues=_queues(wanted),
        video_model=given("hw_video_model", "vga"),
        video_ram_mib=_video_ram_mib(wanted),
        serial_ports=_serial_ports(wanted),
        guest_agent=is_true(given("hw_qemu_guest_agent", "yes")),
        watchdog_action="" if watchdog == "disabled" else watchdog,
        rng=is_true(wanted.specs.get("hw_rng:allowed", "yes")),
        tablet_bus=input_bus or ("usb" if "hw_pointer_model" in wanted.properties else ""),
        keyboard_bus=input_bus,
        tpm=_tpm(wanted),
        limits=_limits(wanted),
    )


def traits(wanted: Wanted) -> tuple[frozenset[str], frozenset[str]]:
    """Return the traits that a node must have, and those that it may not have."""
    asked = {name: wanted.properties.get(name) for name in _DEVICES}
    if (tpm := _tpm(wanted)) is not None:
        asked |= {"hw_tpm_version": tpm.version, "hw_tpm_model": tpm.model}
    required = {
        hypervisors.hardware.trait(hypervisors.hardware.TRAIT_OF[name], text)
        for name, text in asked.items()
        if text is not None and text != _PLAIN.get(name)
    }
    if "required" in (wanted.specs.get("os:secure_boot"), wanted.properties.get("os_secure_boot")):
        required.add(hypervisors.hardware.SECURE_BOOT)
    forbidden: set[str] = set()
    for key, text in [*wanted.specs.items(), *wanted.properties.items()]:
        if key.startswith("trait:"):
            (required if text == "required" else forbidden).add(key.removeprefix("trait:"))
    return frozenset(required), frozenset(forbidden)


def _meaning(text: str) -> object:
    return text if flag(text) else is_true(text)


def _secure_boot(wanted: Wanted, *, uefi: bool) -> bool:
    """Return whether only signed software boots; `optional` asks for nothing."""
    if wanted.agreed("secure_boot", prefix="os") != "required":
        return False
    if not uefi:
        raise InvalidInput(
            f"Flavor {wanted.flavor_name} has os:secure_boot required, and image {wanted.image_name} is not booted "
            "by UEFI: it needs hw_firmware_type=uefi."
        )
    return True


def _queues(wanted: Wanted) -> int:
    if not is_true(wanted.agreed("vif_multiqueue_enabled")):
        return 1
    return min(wanted.vcpus, hypervisors.hardware.QUEUES_MAX)


def _serial_ports(wanted: Wanted) -> int:
    flavor, image = wanted.number("hw:serial_port_count"), wanted.properties.get("hw_serial_port_count")
    if image is None:
        return flavor or 1
    if flavor is not None and int(image) > flavor:
        raise InvalidInput("Forbidden to exceed flavor value of number of serial ports passed in image meta.")
    return int(image)


def _video_ram_mib(wanted: Wanted) -> int:
    """Return what the image asks for, of which the flavor must allow as much."""
    asked = int(wanted.properties.get("hw_video_ram", "0"))
    most = wanted.number("hw_video:ram_max_mb") or 0
    if asked > most:
        raise InvalidInput(
            f"The requested amount of video memory {asked} is higher than the maximum allowed by flavor {most}."
        )
    return asked


def _tpm(wanted: Wanted) -> Tpm | None:
    version, model = wanted.agreed("tpm_version"), wanted.agreed("tpm_model")
    if version is None:
        return None
    if version == "1.2" and model == "tpm-crb":
        raise InvalidInput("TPM model tpm-crb is only valid with TPM version 2.0.")
    return Tpm(version, model or "tpm-tis")


def _limits(wanted: Wanted) -> Limits:
    def found(prefix: str, names: Iterator[str]) -> dict[str, int]:
        keys = {name: f"{prefix}{name}" for name in names}
        return {name: int(wanted.specs[key]) for name, key in keys.items() if key in wanted.specs}

    rates = {
        way: found(f"quota:vif_{way}_", iter(("average", "peak", "burst"))) for way in ("inbound", "outbound")
    }
    for way, rate in rates.items():
        if rate and "average" not in rate:
            raise InvalidInput(
                f"Flavor {wanted.flavor_name} limits a NIC's {way} without quota:vif_{way}_average."
            )
    disk = found("quota:disk_", iter(_DISK_LIMITS))
    for what in ("bytes", "iops"):
        if f"total_{what}_sec" in disk and (f"read_{what}_sec" in disk or f"write_{what}_sec" in disk):
            raise InvalidInput(
                f"Flavor {wanted.flavor_name} limits both the total and the parts of disk_{what}_sec."
            )
    return Limits(cpu=found("quota:cpu_", iter(CPU_LIMITS)), disk=disk, rng=_entropy(wanted), **rates)


def _entropy(wanted: Wanted) -> dict[str, int]:
    """Return how many bytes a guest may have in how many ms; none: as many as it likes."""
    rate = wanted.number("hw_rng:rate_bytes")
    if not rate:
        return {}
    return {"bytes": rate, "period": wanted.number("hw_rng:rate_period") or 1_000}


def _topology(wanted: Wanted) -> Topology | None:
    """Return the sockets, cores and threads nearest to what is wished; None where nobody wishes anything."""
    flavor, image = _parts(wanted.specs, "hw:cpu_"), _parts(wanted.properties, "hw_cpu_")
    flavor_most, image_most = _parts(wanted.specs, "hw:cpu_max_"), _parts(wanted.properties, "hw_cpu_max_")
    if not any((flavor, image, flavor_most, image_most)):
        return None
    allowed = {part: flavor_most.get(part, _UNLIMITED) for part in _PARTS}
    if any(image_most.get(part, 0) > allowed[part] for part in _PARTS):
        raise InvalidInput(f"Image vCPU limits {_shown(image_most)} exceeds permitted {_shown(allowed)}")
    most = {part: min(allowed[part], image_most.get(part, _UNLIMITED)) for part in _PARTS}
    if any(image.get(part, 0) > most[part] for part in _PARTS):
        raise InvalidInput(f"Image vCPU topology {_shown(image)} exceeds permitted {_shown(most)}")
    wish = image or {part: count for part, count in flavor.items() if count <= most[part]}
    possible = list(_possible(wanted.vcpus, most))
    if not possible:
        raise InvalidInput(
            f"Requested vCPU limits {_shown(most)} are impossible to satisfy for vcpus count {wanted.vcpus}"
        )
    return max(possible, key=lambda one: (_likeness(one, wish), one.sockets, one.cores, one.threads))


def _parts(given: Mapping[str, str], prefix: str) -> dict[str, int]:
    return {part: int(given[f"{prefix}{part}"]) for part in _PARTS if f"{prefix}{part}" in given}


def _shown(parts: Mapping[str, int]) -> str:
    return ":".join(str(parts.get(part, -1)) for part in _PARTS)


def _possible(vcpus: int, most: Mapping[str, int]) -> Iterator[Topology]:
    """Yield every way to make so many processors within the limits."""
    for sockets in _divisors(vcpus, most["sockets"]):
        for cores in _divisors(vcpus // sockets, most["cores"]):
            threads = vcpus // sockets // cores
            if threads <= most["threads"]:
                yield Topology(sockets, cores, threads)


def _divisors(number: int, most: int) -> Iterator[int]:
    return (part for part in range(1, min(number, most) + 1) if number % part == 0)


def _likeness(one: Topology, wish: Mapping[str, int]) -> int:
    return sum(getattr(one, part) == count for part, count in wish.items())
