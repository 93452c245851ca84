"""Answers: JSON by orjson; UUIDs and aware datetimes (as 2026-01-31T12:00:00Z) may stand in the data."""

from collections.abc import Mapping
from typing import Any

import orjson
from rest_framework.renderers import BaseRenderer

OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS


def render(data: Any) -> bytes:
    """Return data as JSON; orjson.Fragment values pass through as they are."""
    return orjson.dumps(data, option=OPTIONS)


class JSONRenderer(BaseRenderer):
    """What DRF calls; no data is an empty body."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the body of the answer."""
        del accepted_media_type, renderer_context
        return b"" if data is None else render(data)
