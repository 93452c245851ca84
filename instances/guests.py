"""From an operation to the guest that a driver is to make: plain values of hypervisors.driver."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

import images.cache
from hypervisors.driver import Capability, Disk, GuestSpec, Nic
from instances.metadata import drive, facts
from networking.facts import PortFacts
from workers import secrets
from workers.driver import driver
from workers.workflow import Context


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
        properties=params["image"]["properties"],
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
    root = Disk("root", flavor["disk_gib"] or image["min_disk_gib"], base, image["disk_format"], bus)
    disks = [root]
    if flavor["ephemeral_gib"]:
        disks.append(Disk("ephemeral0", flavor["ephemeral_gib"], bus=bus))
    if flavor["swap_mib"]:
        disks.append(Disk("swap", -(-flavor["swap_mib"] // 1024), bus=bus))
    return tuple(disks)


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
