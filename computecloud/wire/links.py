"""Addresses in answers: from the configured public URL, else as the request came."""

from django.http import HttpRequest

from computecloud.config import CONFIG
from computecloud.wire.services import Service

Link = dict[str, str]


def base(request: HttpRequest) -> str:
    """Return scheme and host that clients use, without a trailing slash."""
    return CONFIG.public_url.rstrip("/") or f"{request.scheme}://{request.get_host()}"


def service_url(request: HttpRequest, service: Service) -> str:
    """Return the unversioned address of a service."""
    return f"{base(request)}/{service.prefix}"


def roots(request: HttpRequest, service: Service, project_id: str | None = None) -> tuple[str, str]:
    """Return (versioned, unversioned) addresses under which the request's own resources live.

    The version is the one in the request's path; project_id is there when the path has it.
    """
    unversioned = service_url(request, service)
    tail = f"/{project_id}" if project_id else ""
    version = _version_segment(request, service)
    return (f"{unversioned}/{version}{tail}" if version else unversioned + tail), unversioned + tail


def item(root_pair: tuple[str, str], path: str) -> list[Link]:
    """Return Nova's two links of one thing; path is e.g. `servers/<id>`."""
    return [
        {"rel": "self", "href": f"{root_pair[0]}/{path}"},
        {"rel": "bookmark", "href": f"{root_pair[1]}/{path}"},
    ]


def here(request: HttpRequest) -> str:
    """Return the request's own address without its query."""
    return base(request) + request.path


def _version_segment(request: HttpRequest, service: Service) -> str:
    if service.legacy_root and request.path.startswith(f"/{service.prefix}/{service.legacy_root}/"):
        return service.legacy_root
    return service.root
