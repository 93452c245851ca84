"""What the instance room learns of an image before it boots from it."""

from dataclasses import dataclass
from uuid import UUID

from computecloud.wire.errors import InvalidInput
from identity.caller import Caller
from images import selectors
from images.states import Status

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
    """Return what a boot needs to know; raises NotFound, or InvalidInput where the image is not active."""
    image = selectors.get(image_id, caller, with_tags=False)
    if image.status != Status.ACTIVE:
        raise InvalidInput(f"Image {image_id} is {image.status}; only an active image can be booted.")
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
