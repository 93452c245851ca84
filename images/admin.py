"""Images in the operators' pages: read only, because records and bytes change together through the API alone."""

from django.contrib import admin
from django.template.defaultfilters import filesizeformat

from computecloud.pages.rows import InlineRows, ReadOnlyRows, Rows
from images.models import Image, ImageMember, ImageTag


class TagInline(ReadOnlyRows, InlineRows[ImageTag, Image]):
    """An image's tags."""

    model = ImageTag


class MemberInline(ReadOnlyRows, InlineRows[ImageMember, Image]):
    """Whom an image is shared with."""

    model = ImageMember


@admin.register(Image)
class ImageAdmin(ReadOnlyRows, Rows[Image]):
    """Images of all projects, deleted ones too."""

    list_display = ["name", "id", "status", "visibility", "disk_format", "size", "project_id", "created_at"]
    list_filter = ["status", "visibility", "disk_format", "protected", "hidden", "created_at"]
    search_fields = ["id", "name", "project_id", "checksum_md5", "checksum_sha512", "tags__value"]
    date_hierarchy = "created_at"
    inlines = [TagInline, MemberInline]

    @admin.display(description="size", ordering="size_bytes")
    def size(self, image: Image) -> str:
        """Return the size in words; a dash while there are no bytes."""
        return "-" if image.size_bytes is None else filesizeformat(image.size_bytes)
