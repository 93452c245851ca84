"""What changes images, and what the other rooms ask of this one."""

from images.services.booting import ImageFacts, bootable
from images.services.members import answer, offer, withdraw
from images.services.records import (
    Attributes,
    add_tag,
    create,
    deactivate,
    delete,
    edit,
    reactivate,
    remove_tag,
)
from images.services.uploads import Download, download, release_dead_upload, upload

__all__ = [
    "Attributes",
    "Download",
    "ImageFacts",
    "add_tag",
    "answer",
    "bootable",
    "create",
    "deactivate",
    "delete",
    "download",
    "edit",
    "offer",
    "reactivate",
    "release_dead_upload",
    "remove_tag",
    "upload",
    "withdraw",
]
