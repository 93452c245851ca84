"""Sharing an image with other projects."""

from uuid import UUID

from django.utils import timezone

from computecloud.wire.errors import Conflict, Forbidden, InvalidInput, NotFound
from identity.caller import Caller
from images import selectors
from images.models import ImageMember
from images.states import MemberStatus, Visibility

MEMBERS_MAX = 128


def offer(image_id: UUID, project_id: str, *, caller: Caller) -> ImageMember:
    """Share an image with a project; raises NotFound, Forbidden, InvalidInput, Conflict if that was done."""
    image = selectors.get_for_change(image_id, caller)
    if image.visibility != Visibility.SHARED:
        raise Forbidden(f"Image {image_id} is {image.visibility}; only a shared image has members.")
    if ImageMember.objects.filter(image=image).count() >= MEMBERS_MAX:
        raise InvalidInput(f"An image may have {MEMBERS_MAX} members.")
    now = timezone.now()
    member, made = ImageMember.objects.get_or_create(
        image=image, project_id=project_id, defaults={"created_at": now, "updated_at": now}
    )
    if not made:
        raise Conflict(f"Image {image_id} is already associated with project {project_id}.")
    return member


def answer(image_id: UUID, project_id: str, status: MemberStatus, *, caller: Caller) -> ImageMember:
    """Accept or reject a shared image for the caller's own project; raises NotFound, Forbidden."""
    member = selectors.member(image_id, project_id, caller)
    if not caller.is_admin and caller.project_id != project_id:
        raise Forbidden("Only the project that an image is shared with may accept or reject it.")
    member.status, member.updated_at = status, timezone.now()
    row = ImageMember.objects.filter(pk=member.pk)
    if not row.update(status=member.status, updated_at=member.updated_at):
        raise _not_shared(image_id, project_id)
    return member


def withdraw(image_id: UUID, project_id: str, *, caller: Caller) -> None:
    """Stop sharing an image with a project; raises NotFound, Forbidden."""
    selectors.get_for_change(image_id, caller)
    removed, _ = ImageMember.objects.filter(image_id=image_id, project_id=project_id).delete()
    if not removed:
        raise _not_shared(image_id, project_id)


def _not_shared(image_id: UUID, project_id: str) -> NotFound:
    return NotFound(f"Image {image_id} is not shared with project {project_id}.")
