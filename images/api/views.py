"""Image records over HTTP."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponseBase, QueryDict
from rest_framework.request import Request

from computecloud.wire import links
from computecloud.wire.errors import InvalidInput, NotFound
from computecloud.wire.parsers import read_body
from computecloud.wire.services import IMAGE
from computecloud.wire.views import ApiView
from identity import policy
from images import files, selectors, services
from images.api import documents, patches, queries, schemas
from images.models import TAG_MAX_CHARS
from images.states import MemberStatus


class ImageApiView(ApiView):
    """Base of this room's views: readers read, members change."""

    service = IMAGE

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse who may not do this."""
        super().initial(request, *args, **kwargs)
        reads = request.method in ("GET", "HEAD")
        policy.require(self.caller, policy.READER if reads else policy.MEMBER)


def image_id_of(text: str) -> UUID:
    """Return the id in a path; raises NotFound where it is none."""
    if not files.is_uuid(text):
        raise NotFound(f"No image found with ID {text[:64]}")
    return UUID(text)


class ImagesView(ImageApiView):
    """The collection of images."""

    def get(self, request: Request) -> HttpResponseBase:
        """List the images that the caller sees and asks for."""
        query = request._request.GET
        asked = queries.read(query)
        found = selectors.page(
            self.caller, asked.wanted, asked.orders, marker=asked.marker, limit=asked.limit
        )
        body: dict[str, Any] = {
            "images": [documents.shown(image) for image in found],
            "first": _address(query, marker=None),
            "schema": "/v2/schemas/images",
        }
        if found and len(found) == asked.limit:
            body["next"] = _address(query, marker=found[-1].id)
        return self.answer(body)

    def post(self, _request: Request) -> HttpResponseBase:
        """Make an image's record; its bytes are uploaded afterwards."""
        payload = self.payload()
        if not isinstance(payload, dict):
            raise InvalidInput("Malformed request body: it must be a JSON object.")
        for key in payload:
            documents.require_writable(key)
        checked = documents.read(self.edition, documents.NewImageDocument, payload)
        image = services.create(documents.attributes(checked), image_id=checked.get("id"), caller=self.caller)
        location = f"{links.service_url(self._plain, IMAGE)}/v2/images/{image.id}"
        return self.answer(documents.shown(image), 201, {"Location": location})


class ImageView(ImageApiView):
    """One image."""

    def get(self, _request: Request, image_id: str) -> HttpResponseBase:
        """Show it."""
        return self.answer(documents.shown(selectors.get(image_id_of(image_id), self.caller)))

    def patch(self, _request: Request, image_id: str) -> HttpResponseBase:
        """Change its record."""
        image = selectors.get_for_change(image_id_of(image_id), self.caller)
        patch = read_body(self._plain, patches.MEDIA_TYPES)
        own, media_type = frozenset(image.properties), self._plain.content_type or ""
        document = patches.patched(documents.writable(image), own, patch, media_type=media_type)
        checked = documents.read(self.edition, documents.ImageDocument, document)
        if patch:
            services.edit(image, documents.attributes(checked), caller=self.caller)
        return self.answer(documents.shown(selectors.get(image.id, self.caller)))

    def delete(self, _request: Request, image_id: str) -> HttpResponseBase:
        """Delete it and its bytes."""
        services.delete(image_id_of(image_id), caller=self.caller)
        return self.answer(status=204)


class ActionView(ImageApiView):
    """What makes an image unavailable for a while."""

    def post(self, _request: Request, image_id: str, action: str) -> HttpResponseBase:
        """Deactivate or reactivate the image."""
        act = {"deactivate": services.deactivate, "reactivate": services.reactivate}[action]
        act(image_id_of(image_id), caller=self.caller)
        return self.answer(status=204)


class TagView(ImageApiView):
    """One tag of an image."""

    def put(self, _request: Request, image_id: str, tag: str) -> HttpResponseBase:
        """Hang it on the image."""
        if len(tag) > TAG_MAX_CHARS or not tag.isprintable():
            raise InvalidInput(f"A tag is a printable text of at most {TAG_MAX_CHARS} characters.")
        services.add_tag(image_id_of(image_id), tag, caller=self.caller)
        return self.answer(status=204)

    def delete(self, _request: Request, image_id: str, tag: str) -> HttpResponseBase:
        """Take it off the image."""
        services.remove_tag(image_id_of(image_id), tag, caller=self.caller)
        return self.answer(status=204)


class MembersView(ImageApiView):
    """The projects that an image is shared with."""

    def get(self, _request: Request, image_id: str) -> HttpResponseBase:
        """List them; a member sees only itself."""
        found = selectors.members(image_id_of(image_id), self.caller)
        shown = [documents.shown_member(member) for member in found]
        return self.answer({"members": shown, "schema": "/v2/schemas/members"})

    def post(self, _request: Request, image_id: str) -> HttpResponseBase:
        """Share the image with one more."""
        checked = self.body(documents.MemberDocument)
        member = services.offer(image_id_of(image_id), checked["member"], caller=self.caller)
        return self.answer(documents.shown_member(member))


class MemberView(ImageApiView):
    """One project that an image is shared with."""

    def get(self, _request: Request, image_id: str, project_id: str) -> HttpResponseBase:
        """Show what it said."""
        member = selectors.member(image_id_of(image_id), project_id, self.caller)
        return self.answer(documents.shown_member(member))

    def put(self, _request: Request, image_id: str, project_id: str) -> HttpResponseBase:
        """Accept or reject the image."""
        status = MemberStatus(self.body(documents.AnswerDocument)["status"])
        member = services.answer(image_id_of(image_id), project_id, status, caller=self.caller)
        return self.answer(documents.shown_member(member))

    def delete(self, _request: Request, image_id: str, project_id: str) -> HttpResponseBase:
        """Share the image with it no longer."""
        services.withdraw(image_id_of(image_id), project_id, caller=self.caller)
        return self.answer(status=204)


class SchemaView(ImageApiView):
    """The JSON schemas that some clients read before they write."""

    def get(self, _request: Request, name: str) -> HttpResponseBase:
        """Show one."""
        if name not in schemas.SCHEMAS:
            raise NotFound(f"There is no schema {name[:64]}.")
        return self.answer(schemas.SCHEMAS[name])


def _address(query: QueryDict, *, marker: UUID | None) -> str:
    pairs = [(key, text) for key, texts in query.lists() for text in texts if key != "marker"]
    if marker is not None:
        pairs.append(("marker", str(marker)))
    return f"/v2/images?{urlencode(pairs)}" if pairs else "/v2/images"
