"""Making, editing and deleting image records."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

import structlog
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from computecloud.wire.errors import Conflict, Forbidden, InvalidInput, NotFound
from identity.caller import Caller
from images import properties, selectors, store
from images.models import Image, ImageMember, ImageTag
from images.states import AMAZON, Action, DiskFormat, Status, Visibility
from images.transitions import move

TAGS_MAX = 128
PROPERTIES_MAX = 128

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """All that an owner may say of an image; checked for form, not yet for permission."""

    name: str | None = None
    owner: str | None = None  # None: the caller's project, or as it was
    visibility: Visibility = Visibility.SHARED
    disk_format: DiskFormat | None = None
    container_format: str | None = None
    min_disk_gib: int = 0
    min_ram_mib: int = 0
    protected: bool = False
    hidden: bool = False
    tags: frozenset[str] = frozenset()
    properties: dict[str, str] = field(default_factory=dict)


def create(attributes: Attributes, *, image_id: UUID | None = None, caller: Caller) -> Image:
    """Make a queued image; raises Forbidden, InvalidInput, or Conflict where the id was ever used."""
    selectors.require_writer(caller)
    owner = attributes.owner or caller.project_id
    if owner is None:
        raise InvalidInput("An image belongs to a project; ask for a token that is scoped to one.")
    _require_owner_allowed(owner, caller)
    _require_visibility_allowed(attributes.visibility, caller)
    _require_few(attributes.tags, attributes.properties)
    _require_formats_to_match(attributes)
    properties.check(attributes.properties)
    now = timezone.now()
    image = Image(
        id=image_id or uuid4(), project_id=owner, created_at=now, updated_at=now, **_columns(attributes)
    )
    try:
        with transaction.atomic():
            image.save(force_insert=True)
            ImageTag.objects.bulk_create(ImageTag(image=image, value=tag) for tag in sorted(attributes.tags))
    except IntegrityError as error:
        raise Conflict(f"Image ID {image_id} already exists!") from error
    log.info("image.created", image_id=str(image.id), project_id=owner)
    return image


def edit(image: Image, attributes: Attributes, *, caller: Caller) -> None:
    """Give an image, as read by selectors.get_for_change, these attributes in place of its own.

    Raises Forbidden, InvalidInput, or Conflict where it was changed since it was read.
    """
    owner = attributes.owner or image.project_id
    if owner != image.project_id:
        _require_owner_allowed(owner, caller)
    if attributes.visibility != image.visibility:
        _require_visibility_allowed(attributes.visibility, caller)
    _require_few(attributes.tags, attributes.properties)
    _require_formats_to_match(attributes)
    properties.check(attributes.properties, before=image.properties)
    if (attributes.disk_format, attributes.container_format) != (image.disk_format, image.container_format):
        _require_queued(image)
    now = timezone.now()
    with transaction.atomic():
        changed = Image.objects.filter(id=image.id, generation=image.generation, status=image.status).update(
            generation=F("generation") + 1, project_id=owner, updated_at=now, **_columns(attributes)
        )
        if not changed:
            raise Conflict(f"Image {image.id} was changed by somebody else meanwhile; try again.")
        ImageTag.objects.filter(image=image).exclude(value__in=attributes.tags).delete()
        wanted = [ImageTag(image=image, value=tag) for tag in sorted(attributes.tags)]
        ImageTag.objects.bulk_create(wanted, ignore_conflicts=True)


def delete(image_id: UUID, *, caller: Caller) -> None:
    """Delete an image, also one that is being uploaded; raises NotFound, Forbidden (also if protected)."""
    image = selectors.get_for_change(image_id, caller)
    if image.protected:
        raise Forbidden(f"Image {image_id} is protected and cannot be deleted; unset protected first.")
    now = timezone.now()
    with transaction.atomic():
        move(Action.DELETE, image_id, now=now, deleted_at=now)
        ImageTag.objects.filter(image=image_id).delete()
        ImageMember.objects.filter(image=image_id).delete()
    store.remove(image_id)
    log.info("image.deleted", image_id=str(image_id))


def deactivate(image_id: UUID, *, caller: Caller) -> None:
    """Stop downloads and boots of an active image; raises NotFound, Forbidden, WrongStatus."""
    selectors.get_for_change(image_id, caller)
    move(Action.DEACTIVATE, image_id, now=timezone.now())


def reactivate(image_id: UUID, *, caller: Caller) -> None:
    """Allow downloads and boots again; raises NotFound, Forbidden, WrongStatus."""
    selectors.get_for_change(image_id, caller)
    move(Action.REACTIVATE, image_id, now=timezone.now())


def add_tag(image_id: UUID, tag: str, *, caller: Caller) -> None:
    """Hang a tag on an image, if it is not there; raises NotFound, Forbidden, InvalidInput for too many."""
    image = selectors.get_for_change(image_id, caller)
    _require_few(frozenset(known.value for known in image.tags.all()) | {tag}, {})
    ImageTag.objects.bulk_create([ImageTag(image=image, value=tag)], ignore_conflicts=True)
    _touch(image_id, now=timezone.now())


def remove_tag(image_id: UUID, tag: str, *, caller: Caller) -> None:
    """Take a tag off an image; raises NotFound where it has no such tag, Forbidden."""
    selectors.get_for_change(image_id, caller)
    removed, _ = ImageTag.objects.filter(image_id=image_id, value=tag).delete()
    if not removed:
        raise NotFound(f"Image {image_id} has no tag {tag}.")
    _touch(image_id, now=timezone.now())


def _touch(image_id: UUID, *, now: datetime) -> None:
    Image.objects.filter(id=image_id).update(generation=F("generation") + 1, updated_at=now)


def _columns(attributes: Attributes) -> dict[str, object]:
    return {
        "name": attributes.name,
        "visibility": attributes.visibility,
        "disk_format": attributes.disk_format,
        "container_format": attributes.container_format,
        "min_disk_gib": attributes.min_disk_gib,
        "min_ram_mib": attributes.min_ram_mib,
        "protected": attributes.protected,
        "hidden": attributes.hidden,
        "properties": attributes.properties,
    }


def _require_owner_allowed(owner: str, caller: Caller) -> None:
    if owner != caller.project_id and not caller.is_admin:
        raise Forbidden("Only an administrator may make another project the owner of an image.")


def _require_visibility_allowed(visibility: Visibility, caller: Caller) -> None:
    if visibility is Visibility.PUBLIC and not caller.is_admin:
        raise Forbidden("Only an administrator may make an image public; use shared, community or private.")


def _require_few(tags: frozenset[str], given: dict[str, str]) -> None:
    if len(tags) > TAGS_MAX:
        raise InvalidInput(f"An image may have {TAGS_MAX} tags, not {len(tags)}.")
    if len(given) > PROPERTIES_MAX:
        raise InvalidInput(f"An image may have {PROPERTIES_MAX} properties, not {len(given)}.")


def _require_formats_to_match(attributes: Attributes) -> None:
    """Refuse a kernel in a container of another kind, in Glance's words."""
    formats = (attributes.disk_format, attributes.container_format)
    if None not in formats and set(formats) & AMAZON and formats[0] != formats[1]:
        raise InvalidInput(
            "Invalid mix of disk and container formats. When setting a disk or container format to one of "
            "'aki', 'ari', or 'ami', the container and disk formats must match."
        )


def _require_queued(image: Image) -> None:
    if image.status != Status.QUEUED:
        raise Forbidden("The formats of an image can only be changed while it is queued.")
