"""Image records; their bytes are images.store's."""

from uuid import uuid4

from django.db import models
from django.utils import timezone

from images.states import DiskFormat, MemberStatus, Status, Visibility

NAME_MAX_CHARS = 255
TAG_MAX_CHARS = 255


class Image(models.Model):
    """What a guest's disk is made from; a deleted image keeps its row, so that its id is never used again."""

    id = models.UUIDField(primary_key=True, default=uuid4)
    name = models.CharField(max_length=NAME_MAX_CHARS, null=True, blank=True)
    project_id = models.CharField(max_length=64, db_index=True)
    status = models.CharField(max_length=16, choices=[(s, s) for s in Status], default=Status.QUEUED)
    visibility = models.CharField(
        max_length=16, choices=[(v, v) for v in Visibility], default=Visibility.SHARED
    )
    disk_format = models.CharField(max_length=16, choices=[(f, f) for f in DiskFormat], null=True, blank=True)
    container_format = models.CharField(max_length=16, null=True, blank=True)
    size_bytes = models.BigIntegerField(null=True, blank=True)
    virtual_size_bytes = models.BigIntegerField(null=True, blank=True)
    checksum_md5 = models.CharField(max_length=32, null=True, blank=True)
    checksum_sha512 = models.CharField(max_length=128, null=True, blank=True)
    min_disk_gib = models.PositiveIntegerField(default=0)
    min_ram_mib = models.PositiveIntegerField(default=0)
    protected = models.BooleanField(default=False)
    hidden = models.BooleanField(default=False)
    properties = models.JSONField(default=dict, blank=True, help_text="text to text, as the owner set them")
    generation = models.PositiveBigIntegerField(default=0, help_text="rises with every edit of the record")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="images_newest_first"),
            models.Index(fields=["visibility", "status"], name="images_by_visibility"),
        ]

    def __str__(self) -> str:
        return f"{self.name or 'unnamed'} ({self.id})"


class ImageTag(models.Model):
    """A word that the owner hung on an image."""

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="tags")
    value = models.CharField(max_length=TAG_MAX_CHARS)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["image", "value"], name="images_one_tag_each")]

    def __str__(self) -> str:
        return self.value


class ImageMember(models.Model):
    """A project that a shared image was offered to; it lists the image once it has accepted."""

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="members")
    project_id = models.CharField(max_length=64, db_index=True)
    status = models.CharField(
        max_length=16, choices=[(s, s) for s in MemberStatus], default=MemberStatus.PENDING.value
    )
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["image", "project_id"], name="images_one_membership_each")
        ]

    def __str__(self) -> str:
        return f"{self.project_id}: {self.status}"
