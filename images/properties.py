"""The image properties that shape a guest's machine: which values they may have, and which do not go together.

Names and meanings are Nova's (its ImageMetaProps); docs/hardware.md tells what each does. Other properties are the
owner's own words, which nobody checks.
"""

import re
from collections.abc import Callable, Mapping

from computecloud.wire.errors import InvalidInput
from hypervisors import hardware

COMMAND_LINE_MAX_CHARS = 2_048  # what x86 kernels read
PROCESSORS_MAX = 4_096
VIDEO_RAM_MAX_MIB = 512
_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})  # Nova's words for it (oslo.utils' strutils)
_FALSE = frozenset({"0", "f", "false", "off", "n", "no"})

Rule = Callable[[str], str]  # returns why a value cannot be, "" where it can


def one_of(*values: str) -> Rule:
    """Return the rule that a value is one of these."""
    known, words = frozenset(values), f"it must be one of {', '.join(values)}"
    return lambda text: "" if text in known else words


def whole(least: int, most: int) -> Rule:
    """Return the rule that a value is a whole number from least to most."""
    words = f"it must be a whole number from {least} to {most}"

    def rule(text: str) -> str:
        is_number = text.isascii() and text.isdigit() and len(text) <= 20
        return "" if is_number and least <= int(text) <= most else words

    return rule


def like(pattern: str, words: str) -> Rule:
    """Return the rule that the whole value matches a pattern."""
    known = re.compile(pattern)
    return lambda text: "" if known.fullmatch(text) else words


def flag(text: str) -> str:
    """Refuse what is neither yes nor no."""
    return "" if text.lower() in _TRUE | _FALSE else "it must be true or false"


def is_true(text: str | None) -> bool:
    """Tell whether a flag is set to yes."""
    return text is not None and text.lower() in _TRUE


def _command_line(text: str) -> str:
    if len(text) <= COMMAND_LINE_MAX_CHARS and text.isprintable():
        return ""
    return f"it must be printable and at most {COMMAND_LINE_MAX_CHARS} characters"


_ID = like("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "it must be the id of an image")
PROCESSORS = whole(1, PROCESSORS_MAX)
SERIAL_PORTS = whole(1, hardware.SERIAL_PORTS_MAX)
WATCHDOG = one_of("disabled", *hardware.WATCHDOG_ACTIONS)
SECURE_BOOT = one_of("required", "optional", "disabled")

RULES: Mapping[str, Rule] = {
    "hw_disk_bus": one_of(*hardware.DISK_BUSES),
    "hw_cdrom_bus": one_of(*hardware.CDROM_BUSES),
    "hw_scsi_model": one_of(*hardware.SCSI_MODELS),
    "hw_vif_model": one_of(*hardware.NIC_MODELS),
    "hw_vif_multiqueue_enabled": flag,
    "hw_machine_type": like(
        r"(pc|q35|virt)|(pc-i440fx|pc-q35|virt)-[0-9]{1,3}\.[0-9]{1,3}",
        "it must be pc, q35, virt or a version of them as pc-q35-7.2",
    ),
    "hw_firmware_type": one_of("bios", "uefi"),
    "os_secure_boot": SECURE_BOOT,
    "hw_boot_menu": flag,
    "hw_video_model": one_of(*hardware.VIDEO_MODELS),
    "hw_video_ram": whole(1, VIDEO_RAM_MAX_MIB),
    "hw_watchdog_action": WATCHDOG,
    "hw_rng_model": one_of("virtio"),
    "hw_qemu_guest_agent": flag,
    "os_require_quiesce": flag,
    **{
        f"hw_cpu_{most}{part}": PROCESSORS
        for most in ("", "max_")
        for part in ("sockets", "cores", "threads")
    },
    "hw_pmu": flag,
    "img_hide_hypervisor_id": flag,
    "hw_pointer_model": one_of("usbtablet"),
    "hw_input_bus": one_of(*hardware.INPUT_BUSES),
    "hw_serial_port_count": SERIAL_PORTS,
    "hw_tpm_version": one_of(*hardware.TPM_VERSIONS),
    "hw_tpm_model": one_of(*hardware.TPM_MODELS),
    "hw_time_hpet": flag,
    "os_type": one_of("linux", "windows"),
    "img_config_drive": one_of("optional", "mandatory"),
    "kernel_id": _ID,
    "ramdisk_id": _ID,
    "os_command_line": _command_line,
}


def check(properties: Mapping[str, str], *, before: Mapping[str, str] | None = None) -> None:
    """Raise InvalidInput for a value that cannot be, but that was there before, and for values that do not agree."""
    old = before or {}
    if properties == old:
        return
    for name, text in properties.items():
        if old.get(name) != text and (words := _why_not(name, text)):
            raise InvalidInput(f"Property {name} may not be '{text[:64]}': {words}.")
    for words in _disagreements(properties):
        raise InvalidInput(words)


def _why_not(name: str, text: str) -> str:
    if name.startswith("trait:"):
        return "" if text == "required" else "it must be required"
    rule = RULES.get(name)
    return rule(text) if rule else ""


def _disagreements(properties: Mapping[str, str]) -> list[str]:
    """Return, in words, which of the properties do not go together."""
    given = properties.get
    family = hardware.family(given("hw_machine_type", ""))
    found = [
        f"{key}=ide needs hw_machine_type=pc: {family} has no ide bus."
        for key in ("hw_disk_bus", "hw_cdrom_bus")
        if given(key) == "ide" and family not in ("", "pc")
    ]
    if given("os_secure_boot") == "required":
        if given("hw_firmware_type") != "uefi":
            found.append("os_secure_boot=required needs hw_firmware_type=uefi.")
        if family == "pc" or "ide" in (given("hw_disk_bus"), given("hw_cdrom_bus")):
            found.append("os_secure_boot=required needs hw_machine_type=q35, which has no ide bus.")
    if given("hw_tpm_version") == "1.2" and given("hw_tpm_model") == "tpm-crb":
        found.append("hw_tpm_model=tpm-crb needs hw_tpm_version=2.0.")
    if is_true(given("os_require_quiesce")) and not is_true(given("hw_qemu_guest_agent", "yes")):
        found.append("os_require_quiesce needs the guest agent: hw_qemu_guest_agent may not be no.")
    if "ramdisk_id" in properties and "kernel_id" not in properties:
        found.append("ramdisk_id needs kernel_id: a ramdisk is booted with a kernel.")
    for part in ("sockets", "cores", "threads"):
        some, most = given(f"hw_cpu_{part}"), given(f"hw_cpu_max_{part}")
        if some and most and int(some) > int(most):
            found.append(f"hw_cpu_{part} may not be more than hw_cpu_max_{part}.")
    return found
