"""Serves the document to anybody: it says nothing of this cloud but what it can be asked."""

from functools import cache

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from computecloud.wire import renderers


@require_safe
def compute(_request: HttpRequest) -> HttpResponse:
    """Answer with the document of the Compute API."""
    response = HttpResponse(_rendered(), content_type="application/json")
    response["Cache-Control"] = "public, max-age=3600"
    return response


@cache
def _rendered() -> bytes:
    from computecloud.openapi.document import document  # drf-spectacular, which nothing else needs

    return renderers.render(document())
