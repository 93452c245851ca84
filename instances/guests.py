"""From an operation to the guest that a driver is to make: plain values of hypervisors.driver."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

import images.cache
from hypervisors.driver import Capability, Disk, GuestSpec, Nic
from hypervisors.hardware import DirectBoot, Hardware
from images.states import DiskFormat
from instances import hardware
from instances.metadata import drive, facts
from networking.facts import PortFacts
from workers import secrets
from workers.driver import driver
from workers.workflow import Context

CONSOLES = "console=tty0 console=ttyS0"  # where a kernel speaks that nobody gave a command line
ROOT_NAMES = {"virtio": "vd"}  # disk bus to what Linux calls its disks; sd for the others


def spec(ctx: Context) -> GuestSpec:
    """Return the guest of a boot, from the operation's parameters and the results of its steps."""
    flavor, params = ctx.params["flavor"], ctx.params
    ports = ports_of(ctx)
    return GuestSpec(
        uuid=ctx.subject_id,
        epoch=ctx.epoch,
        name=params["guest_name"],
        display_name=params["name"],
        project_id=ctx.project_id,
        vcpus=flavor["vcpus"],
        memory_mib=flavor["ram_mib"],
        disks=_disks(flavor, params["image"]),
        nics=tuple(_nic(port, params["image"]["properties"]) for port in ports),
        config_drive=_config_drive(ctx, ports),
        hardware=_hardware(params),
    )


def ports_of(ctx: Context) -> list[PortFacts]:
    """Return the ports that the boot's wiring made."""
    return [PortFacts.from_json(port) for port in ctx.results.get("wire", {}).get("ports", [])]


def port_to_json(port: PortFacts) -> dict[str, Any]:
    """Return a port's facts as an operation keeps them."""
    return asdict(port)


def _disks(flavor: dict[str, Any], image: dict[str, Any]) -> tuple[Disk, ...]:
    bus = image["properties"].get("hw_disk_bus", "virtio")
    base = None
    if Capability.IMAGE_FILES in driver().capabilities:
        base = images.cache.path(UUID(image["id"]))
    root = Disk("root", flavor["disk_gib"] or image["min_disk_gib"], base, _disk_format(image), bus)
    disks = [root]
    if flavor["ephemeral_gib"]:
        disks.append(Disk("ephemeral0", flavor["ephemeral_gib"], bus=bus))
    if flavor["swap_mib"]:
        disks.append(Disk("swap", -(-flavor["swap_mib"] // 1024), bus=bus))
    return tuple(disks)


def _disk_format(image: dict[str, Any]) -> str:
    """Return the format that a driver knows: a disk that needs a kernel of its own is a raw one."""
    return str(DiskFormat.RAW if image["disk_format"] == DiskFormat.AMI else image["disk_format"])


def _hardware(params: Mapping[str, Any]) -> Hardware:
    """Return the guest's machine; a kernel of its own comes from this host's cache."""
    machine = hardware.build(hardware.Wanted.of_params(params))
    given = params["image"]["properties"]
    if "kernel_id" not in given or Capability.IMAGE_FILES not in driver().capabilities:
        return machine
    disk_letters = ROOT_NAMES.get(given.get("hw_disk_bus", "virtio"), "sd")
    boot = DirectBoot(
        kernel=images.cache.path(UUID(given["kernel_id"])),
        ramdisk=images.cache.path(UUID(given["ramdisk_id"])) if "ramdisk_id" in given else None,
        command_line=given.get("os_command_line") or f"root=/dev/{disk_letters}a {CONSOLES}",
    )
    return replace(machine, direct_boot=boot)


def image_ids(params: Mapping[str, Any]) -> list[UUID]:
    """Return the images whose bytes a boot needs: the disk's, and those of a kernel and ramdisk of its own."""
    image = params["image"]
    parts = (image["properties"].get(key) for key in ("kernel_id", "ramdisk_id"))
    return [UUID(image["id"]), *(UUID(part) for part in parts if part)]


def _nic(port: PortFacts, properties: dict[str, str]) -> Nic:
    return Nic(
        port_id=UUID(port.port_id),
        mac=port.mac,
        tap=port.tap,
        bridge=port.bridge,
        mtu=port.mtu,
        model=properties.get("hw_vif_model", "virtio"),
    )


def _config_drive(ctx: Context, ports: list[PortFacts]) -> dict[str, bytes] | None:
    if not ctx.params["config_drive"] or Capability.CONFIG_DRIVE not in driver().capabilities:
        return None
    zone = ctx.results.get("place", {}).get("zone") or ctx.params.get("zone") or ""
    admin_pass = secrets.read(ctx.operation_id, ctx.params).get("admin_pass")
    return drive.files(facts.of_boot(ctx.subject_id, ctx.params, ports, zone=zone, admin_pass=admin_pass))
