"""An image's bytes over HTTP: streams both ways, never whole in memory."""

from typing import Any

from django.http import FileResponse, HttpResponseBase
from rest_framework.request import Request

from computecloud.wire.errors import InvalidInput, UnsupportedMediaType
from images import services, store
from images.api.views import ImageApiView, image_id_of

MEDIA_TYPE = "application/octet-stream"


class DataResponse(FileResponse):
    """A file in larger blocks than Django's."""

    block_size = store.CHUNK_BYTES


class Body:
    """A request's body as a stream; a connection that is cut is an error of the upload, not of ours."""

    def __init__(self, source: store.Readable) -> None:
        self._source = source

    def read(self, size: int, /) -> bytes:
        """Return up to size bytes; raises CutShort."""
        try:
            return self._source.read(size)
        except OSError as error:
            raise store.CutShort("The connection broke during the upload; upload again.") from error


class DataView(ImageApiView):
    """The bytes of one image."""

    def get(self, _request: Request, image_id: str) -> HttpResponseBase:
        """Send them; an answer without a body where there are none yet."""
        found = services.download(image_id_of(image_id), caller=self.caller)
        if found is None:
            return self.answer(status=204)
        return DataResponse(
            found.file,
            content_type=MEDIA_TYPE,
            headers={"Content-Length": str(found.size_bytes), "Content-MD5": found.md5},
        )

    def put(self, request: Request, image_id: str) -> HttpResponseBase:
        """Receive them."""
        plain = request._request
        if (plain.content_type or "").lower() != MEDIA_TYPE:
            raise UnsupportedMediaType(f"Send an image's bytes as {MEDIA_TYPE}.")
        length = _size(plain.META, "CONTENT_LENGTH")
        announced = _size(plain.META, "HTTP_X_OPENSTACK_IMAGE_SIZE")
        if length is not None and announced is not None and length != announced:
            raise InvalidInput(f"The body has {length} bytes, but X-OpenStack-Image-Size says {announced}.")
        # Django reads as much as Content-Length says, which is nothing for a chunked body.
        source: store.Readable = plain if length is not None else plain.META["wsgi.input"]
        services.upload(
            image_id_of(image_id),
            Body(source),
            announced_bytes=length if length is not None else announced,
            caller=self.caller,
        )
        return self.answer(status=204)


def _size(headers: dict[str, Any], name: str) -> int | None:
    text = headers.get(name, "")
    if text == "":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidInput("The size of the body must be announced as a whole number of bytes.")
    return int(text)
