"""An image on the wire: Glance's document, of which clients may write a part."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from computecloud.wire import fields
from computecloud.wire.changes import Edition
from computecloud.wire.errors import Forbidden
from computecloud.wire.serializers import StrictSerializer, validate
from images.models import NAME_MAX_CHARS, TAG_MAX_CHARS, Image, ImageMember
from images.services import Attributes
from images.services.records import PROPERTIES_MAX, TAGS_MAX
from images.states import AMAZON, DiskFormat, MemberStatus, Visibility

PROPERTY_MAX_CHARS = 65_535
CONTAINER_FORMATS = ("bare", *sorted(map(str, AMAZON)))
READ_ONLY = frozenset(
    {
        "status",
        "checksum",
        "os_hash_algo",
        "os_hash_value",
        "size",
        "virtual_size",
        "created_at",
        "updated_at",
    }
    | {"self", "file", "schema", "direct_url", "locations", "stores"}
)
RESERVED = frozenset({"location", "deleted", "deleted_at"})
RESERVED_BEGINNING = "os_glance"  # of what Glance's services tell each other


class ImageDocument(StrictSerializer):
    """What an owner writes of an image, beside properties of his own."""

    name = fields.Text(max_length=NAME_MAX_CHARS, required=False, allow_null=True)
    owner = fields.Identifier(required=False, allow_null=True)
    visibility = fields.Choice(list(map(str, Visibility)), required=False)
    disk_format = fields.Choice(list(map(str, DiskFormat)), required=False, allow_null=True)
    container_format = fields.Choice(CONTAINER_FORMATS, required=False, allow_null=True)
    min_disk = fields.Integer(min_value=0, required=False)
    min_ram = fields.Integer(min_value=0, required=False)
    protected = fields.Boolean(required=False)
    os_hidden = fields.Boolean(required=False)
    tags = serializers.ListField(
        child=fields.Text(min_length=1, max_length=TAG_MAX_CHARS), max_length=TAGS_MAX, required=False
    )
    properties = fields.Metadata(max_items=PROPERTIES_MAX, value_length=PROPERTY_MAX_CHARS)


class NewImageDocument(ImageDocument):
    """The same of an image that is being made, which may choose its id."""

    id = fields.Uuid(required=False)


class MemberDocument(StrictSerializer):
    """With whom an image is shared."""

    member = fields.Identifier()


class AnswerDocument(StrictSerializer):
    """What a project says to an image that is shared with it."""

    status = fields.Choice(list(map(str, MemberStatus)))


def require_writable(key: str) -> None:
    """Raise Forbidden for a key of an image that only the service sets."""
    if key in READ_ONLY:
        raise Forbidden(f"Attribute '{key}' is read-only.")
    if key in RESERVED or key.startswith(RESERVED_BEGINNING):
        raise Forbidden(f"Attribute '{key}' is reserved.")


def read(edition: Edition, kind: type[ImageDocument], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a flat document validated, with the owner's own properties apart; raises InvalidInput."""
    known = edition.serializer(kind).fields.keys() - {"properties"}
    own = {key: value for key, value in document.items() if key not in known}
    rest = {key: value for key, value in document.items() if key in known}
    return validate(edition, kind, {**rest, "properties": own}, "")


def attributes(checked: Mapping[str, Any]) -> Attributes:
    """Return what a validated document says."""
    disk_format = checked.get("disk_format")
    return Attributes(
        name=checked.get("name"),
        owner=checked.get("owner"),
        visibility=Visibility(checked.get("visibility", Visibility.SHARED)),
        disk_format=DiskFormat(disk_format) if disk_format else None,
        container_format=checked.get("container_format"),
        min_disk_gib=checked.get("min_disk", 0),
        min_ram_mib=checked.get("min_ram", 0),
        protected=checked.get("protected", False),
        hidden=checked.get("os_hidden", False),
        tags=frozenset(checked.get("tags", ())),
        properties=checked["properties"],
    )


def writable(image: Image) -> dict[str, Any]:
    """Return the part of an image's document that its owner may write."""
    return {
        **image.properties,
        "name": image.name,
        "owner": image.project_id,
        "visibility": image.visibility,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "min_disk": image.min_disk_gib,
        "min_ram": image.min_ram_mib,
        "protected": image.protected,
        "os_hidden": image.hidden,
        "tags": sorted(tag.value for tag in image.tags.all()),
    }


def shown(image: Image) -> dict[str, Any]:
    """Return an image's whole document."""
    return {
        **writable(image),
        "id": image.id,
        "status": image.status,
        "size": image.size_bytes,
        "virtual_size": image.virtual_size_bytes,
        "checksum": image.checksum_md5,
        "os_hash_algo": "sha512" if image.checksum_sha512 else None,
        "os_hash_value": image.checksum_sha512,
        "created_at": image.created_at,
        "updated_at": image.updated_at,
        "self": f"/v2/images/{image.id}",
        "file": f"/v2/images/{image.id}/file",
        "schema": "/v2/schemas/image",
    }


def shown_member(member: ImageMember) -> dict[str, Any]:
    """Return a membership's document."""
    return {
        "image_id": member.image_id,
        "member_id": member.project_id,
        "status": member.status,
        "created_at": member.created_at,
        "updated_at": member.updated_at,
        "schema": "/v2/schemas/member",
    }
