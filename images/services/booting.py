"""What the instance room learns of an image before it boots from it."""

from dataclasses import dataclass
from uuid import UUID

from computecloud.wire.errors import InvalidInput, NotFound
from identity.caller import Caller
from images import selectors
from images.states import PARTS, DiskFormat, Status

_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image as a server keeps it; min_disk_gib also covers the image's virtual size."""

    id: str
    name: str
    disk_format: str
    size_bytes: int
    min_disk_gib: int
    min_ram_mib: int
    checksum_sha512: str
    properties: dict[str, str]


def bootable(image_id: UUID, caller: Caller) -> ImageFacts:
    """Return what a boot needs to know; raises NotFound.

    Raises InvalidInput where the image, or the kernel or ramdisk that it names, is not active or of another kind.
    """
    image = selectors.get(image_id, caller, with_tags=False)
    if image.status != Status.ACTIVE:
        raise InvalidInput(f"Image {image_id} is {image.status}; only an active image can be booted.")
    if image.disk_format in PARTS:
        raise InvalidInput(
            f"Image {image_id} is no disk: name it as kernel_id or ramdisk_id of the one to boot."
        )
    for key, kind in (("kernel_id", DiskFormat.AKI), ("ramdisk_id", DiskFormat.ARI)):
        if key in image.properties:
            _require_part(key, image.properties[key], kind, caller)
    return ImageFacts(
        id=str(image.id),
        name=image.name or "",
        disk_format=image.disk_format or "",
        size_bytes=image.size_bytes or 0,
        min_disk_gib=max(image.min_disk_gib, -(-(image.virtual_size_bytes or 0) // _GIB)),
        min_ram_mib=image.min_ram_mib,
        checksum_sha512=image.checksum_sha512 or "",
        properties=dict(image.properties),
    )


def _require_part(key: str, given: str, kind: DiskFormat, caller: Caller) -> None:
    """Refuse a kernel or ramdisk that caller cannot see, that is not active or is of another kind."""
    try:
        part = selectors.get(UUID(given), caller, with_tags=False)
    except (NotFound, ValueError):
        raise InvalidInput(f"Image {given[:64]}, the {key} of the image, could not be found.") from None
    if part.status != Status.ACTIVE:
        raise InvalidInput(f"Image {given}, the {key} of the image, is {part.status}, not active.")
    if part.disk_format != kind:
        raise InvalidInput(f"Image {given}, the {key} of the image, is {part.disk_format}, not {kind}.")
