"""/images, which versions before 2.36 had (its metadata before 2.39) for who knows no Image API."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpResponseBase
from rest_framework.request import Request

import images.services
from computecloud.wire import links
from computecloud.wire.errors import InvalidInput, NotFound
from computecloud.wire.services import IMAGE
from identity import policy
from images import selectors
from images.api import documents
from images.models import Image
from images.selectors import Moment, Order, Wanted
from images.states import Status
from instances.api.base import ComputeView
from instances.api.queries import ImagesQuery
from instances.api.server_bodies import MetaBody, MetadataBody
from instances.selectors import as_uuid

_STATUS = {
    Status.ACTIVE: "ACTIVE",
    Status.QUEUED: "SAVING",
    Status.SAVING: "SAVING",
    Status.DELETED: "DELETED",
}
_PROGRESS = {Status.QUEUED: 25, Status.SAVING: 50, Status.ACTIVE: 100}
_NEWEST_FIRST = (Order("created_at", descending=True), Order("id", descending=True))


class ImageViews(ComputeView):
    """What these views share; readers read, members change, as in the Image API."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse who may not do this."""
        super().initial(request, *args, **kwargs)
        reads = request.method in ("GET", "HEAD")
        policy.require(self.caller, policy.READER if reads else policy.MEMBER)

    def key(self, image_id: str) -> UUID:
        """Return the id in an address; raises NotFound where it is none."""
        found = as_uuid(image_id)
        if found is None:
            raise NotFound("Image not found.")
        return found

    def image(self, image_id: str) -> Image:
        """Return an image that the caller may see; raises NotFound."""
        return selectors.get(self.key(image_id), self.caller)

    def brief(self, image: Image) -> dict[str, Any]:
        """Return an image by id and name."""
        address = f"{links.service_url(self._plain, IMAGE)}/images/{image.id}"
        other = {"rel": "alternate", "type": "application/vnd.openstack.image", "href": address}
        return {
            "id": image.id,
            "name": image.name,
            "links": [*self.links(f"images/{image.id}"), other],
        }

    def whole(self, image: Image) -> dict[str, Any]:
        """Return all that is shown of an image."""
        shown = self.brief(image) | {
            "status": _STATUS.get(Status(image.status), "UNKNOWN"),
            "progress": _PROGRESS.get(Status(image.status), 0),
            "minRam": image.min_ram_mib,
            "minDisk": image.min_disk_gib,
            "metadata": image.properties,
            "created": _moment(image.created_at),
            "updated": _moment(image.updated_at),
            "OS-EXT-IMG-SIZE:size": image.size_bytes,
        }
        if server_id := image.properties.get("instance_uuid"):
            shown["server"] = {"id": server_id, "links": self.links(f"servers/{server_id}")}
        if "auto_disk_config" in image.properties:
            is_auto = image.properties["auto_disk_config"].lower() == "true"
            shown["OS-DCF:diskConfig"] = "AUTO" if is_auto else "MANUAL"
        return shown

    def listed(self) -> tuple[list[Image], list[links.Link]]:
        """Return the images that the query asks for, and the link to those after them."""
        query = self.query(ImagesQuery)
        page = self.page(query)
        marker = self.key(page.marker) if page.marker is not None else None
        found = selectors.page(self.caller, _wanted(query), _NEWEST_FIRST, marker=marker, limit=page.limit)
        return found, self.next_links(page, [image.id for image in found])

    def change(self, image_id: str, of: Callable[[dict[str, str]], dict[str, str]]) -> dict[str, str]:
        """Give an image the properties made `of` its own, and return them.

        Raises InvalidInput, Forbidden, NotFound, and Conflict where somebody else changed it meanwhile.
        """
        image = selectors.get_for_change(self.key(image_id), self.caller)
        properties = of(image.properties)
        document = documents.writable(image)
        rest = {key: value for key, value in document.items() if key not in image.properties}
        for key in properties.keys() - image.properties.keys():
            if key in rest or key == "id":
                raise InvalidInput(f"'{key}' is an attribute of images: change it by the Image API.")
            documents.require_writable(key)
        checked = documents.read(self.edition, documents.ImageDocument, {**rest, **properties})
        images.services.edit(image, documents.attributes(checked), caller=self.caller)
        return properties


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _wanted(query: dict[str, Any]) -> Wanted:
    """Return what a query asks for; a server is named by its id or address."""
    one_of: dict[str, list[Any]] = {
        column: [query[key]]
        for key, column in (("name", "name"), ("min_ram", "min_ram_mib"), ("min_disk", "min_disk_gib"))
        if key in query
    }
    if "status" in query:
        one_of["status"] = [ours for ours, word in _STATUS.items() if word == query["status"].upper()]
    properties = {"image_type": query["type"]} if "type" in query else {}
    if "server" in query:
        properties["instance_uuid"] = query["server"].rpartition("/")[2]
    since = query.get("changes_since")
    return Wanted(
        one_of=one_of,
        properties=properties,
        moments=[Moment("updated_at", "gte", since)] if since else [],
    )


class ImagesView(ImageViews):
    """GET /images."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List images by id and name."""
        found, after = self.listed()
        body: dict[str, Any] = {"images": [self.brief(image) for image in found]}
        return self.answer(body | ({"images_links": after} if after else {}))


class ImagesDetailView(ImageViews):
    """GET /images/detail."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List images with what they need."""
        found, after = self.listed()
        body: dict[str, Any] = {"images": [self.whole(image) for image in found]}
        return self.answer(body | ({"images_links": after} if after else {}))


class ImageView(ImageViews):
    """GET and DELETE /images/{id}."""

    def get(self, _request: Request, image_id: str) -> HttpResponseBase:
        """Show an image."""
        return self.answer({"image": self.whole(self.image(image_id))})

    def delete(self, _request: Request, image_id: str) -> HttpResponseBase:
        """Delete an image."""
        images.services.delete(self.key(image_id), caller=self.caller)
        return self.answer(status=204)


class ImageMetadataView(ImageViews):
    """GET, POST and PUT /images/{id}/metadata."""

    def get(self, _request: Request, image_id: str) -> HttpResponseBase:
        """Show an image's properties."""
        return self.answer({"metadata": self.image(image_id).properties})

    def post(self, _request: Request, image_id: str) -> HttpResponseBase:
        """Add properties, or replace those of the same keys."""
        items = self.body(MetadataBody)["metadata"]
        return self.answer({"metadata": self.change(image_id, lambda kept: {**kept, **items})})

    def put(self, _request: Request, image_id: str) -> HttpResponseBase:
        """Replace all properties."""
        items = self.body(MetadataBody)["metadata"]
        return self.answer({"metadata": self.change(image_id, lambda _: items)})


class ImageMetaView(ImageViews):
    """GET, PUT and DELETE /images/{id}/metadata/{key}."""

    def get(self, _request: Request, image_id: str, key: str) -> HttpResponseBase:
        """Show one property."""
        return self.answer({"meta": {key: _with(key, self.image(image_id).properties)[key]}})

    def put(self, _request: Request, image_id: str, key: str) -> HttpResponseBase:
        """Set one property."""
        items = self.body(MetaBody)["meta"]
        if key not in items:
            raise InvalidInput("Request body and URI mismatch")
        self.change(image_id, lambda kept: {**kept, **items})
        return self.answer({"meta": items})

    def delete(self, _request: Request, image_id: str, key: str) -> HttpResponseBase:
        """Remove one property."""
        self.change(
            image_id, lambda kept: {name: text for name, text in _with(key, kept).items() if name != key}
        )
        return self.answer(status=204)


def _with(key: str, properties: dict[str, str]) -> dict[str, str]:
    """Return an image's properties; raises NotFound where this one is not among them."""
    if key not in properties:
        raise NotFound("Metadata item was not found.")
    return properties
