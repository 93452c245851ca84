"""All that a guest is told, as plain values: of a boot's operation for the config drive, of a row for the service."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings

from instances.metadata import vendor
from instances.models import Instance
from networking.facts import PortFacts

SEED_BYTES = 512
_PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd"}  # of a disk's name in its guest, by its bus


@dataclass(frozen=True, slots=True)
class Key:
    """A public key that may log in."""

    name: str
    type: str
    public_key: str


@dataclass(frozen=True, slots=True)
class Told:
    """What one guest is told."""

    instance_id: UUID
    guest_name: str
    name: str
    hostname: str
    project_id: str
    reservation_id: str
    launch_index: int
    zone: str
    flavor: str
    image_id: str
    random_seed: bytes
    metadata: dict[str, str] = field(default_factory=dict)
    ports: list[PortFacts] = field(default_factory=list)
    security_groups: list[str] = field(default_factory=list)
    disks: dict[str, str] = field(default_factory=dict)  # {root, ephemeral0, swap: its name in the guest}
    vendor_data: dict[str, Any] = field(default_factory=dict)
    key: Key | None = None
    user_data: bytes | None = None
    kernel_id: str = ""
    ramdisk_id: str = ""
    admin_pass: str | None = None


def of_boot(
    instance_id: UUID, params: dict[str, Any], ports: list[PortFacts], *, zone: str, admin_pass: str | None
) -> Told:
    """Return what a guest's config drive tells it; params are those of its boot.

    The seed is secret, and the same at each attempt, so that the drive converges.
    """
    image, flavor, key = params["image"], params["flavor"], params.get("key")
    properties = image["properties"]
    seed = hashlib.shake_256(settings.SECRET_KEY.encode() + instance_id.bytes).digest(SEED_BYTES)
    return Told(
        instance_id=instance_id,
        guest_name=params["guest_name"],
        name=params["name"],
        hostname=params["hostname"],
        project_id=params["project_id"],
        reservation_id=params["reservation_id"],
        launch_index=params["launch_index"],
        zone=zone,
        flavor=flavor["name"],
        image_id=str(image["id"]),
        random_seed=seed,
        metadata=params["metadata"],
        ports=ports,
        security_groups=params["security_groups"],
        disks=_disks(properties, ephemeral=flavor["ephemeral_gib"], swap=flavor["swap_mib"]),
        vendor_data=vendor.data(),
        key=Key(**key) if key else None,
        user_data=_decoded(params.get("user_data")),
        kernel_id=properties.get("kernel_id", ""),
        ramdisk_id=properties.get("ramdisk_id", ""),
        admin_pass=admin_pass,
    )


def of_instance(instance: Instance, ports: list[PortFacts], *, random_seed: bytes) -> Told:
    """Return what the service tells a guest; its first password is not kept, so it is not among it."""
    flavor = instance.flavor
    return Told(
        instance_id=instance.id,
        guest_name=instance.instance_name,
        name=instance.name,
        hostname=instance.hostname,
        project_id=instance.project_id,
        reservation_id=instance.reservation_id,
        launch_index=instance.launch_index,
        zone=instance.availability_zone,
        flavor=flavor["original_name"],
        image_id=str(instance.image_id or ""),
        random_seed=random_seed,
        metadata=instance.metadata,
        ports=ports,
        security_groups=[group["name"] for group in instance.security_groups],
        disks=_disks(instance.image_properties, ephemeral=flavor["ephemeral"], swap=flavor["swap"]),
        vendor_data=vendor.data(),
        key=Key(instance.key_name, instance.key_type, instance.key_data) if instance.key_name else None,
        user_data=_decoded(instance.user_data),
        kernel_id=instance.kernel_id,
        ramdisk_id=instance.ramdisk_id,
    )


def _decoded(user_data: str | None) -> bytes | None:
    return base64.b64decode(user_data) if user_data else None


def _disks(properties: dict[str, str], *, ephemeral: int, swap: int) -> dict[str, str]:
    """Return the disks that the driver makes, in its order."""
    prefix = _PREFIX.get(properties.get("hw_disk_bus", "virtio"), "vd")
    kinds = ["root", *(["ephemeral0"] if ephemeral else []), *(["swap"] if swap else [])]
    return {kind: prefix + letter for kind, letter in zip(kinds, "abc", strict=False)}
