"""Version documents: what a client reads first, without a token, to learn what is served where."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, path, re_path

from computecloud.wire import faults, links, renderers
from computecloud.wire.services import (
    COMPUTE,
    IDENTITY,
    IMAGE,
    NETWORK,
    PLACEMENT,
    SERVICES,
    Service,
    by_path,
)

Document = Callable[[HttpRequest], dict[str, Any]]
_JSON = "application/json"


def _served(document: Document, status: int = 200) -> Callable[..., HttpResponseBase]:
    """Return a view that answers GET and HEAD with the document."""

    def view(request: HttpRequest, **_: str) -> HttpResponseBase:
        if request.method not in ("GET", "HEAD"):
            answer = faults.fault(request, by_path(request.path) or COMPUTE, 405, faults.MESSAGES[405])
            answer["Allow"] = "GET, HEAD"
            return answer
        return HttpResponse(renderers.render(document(request)), status=status, content_type=_JSON)

    return view


def _self_link(request: HttpRequest, service: Service, root: str) -> dict[str, str]:
    return {"rel": "self", "href": f"{links.service_url(request, service)}/{root}/"}


def everything(request: HttpRequest) -> dict[str, Any]:
    """Return where each service is."""
    return {
        "choices": [
            {
                "id": service.type,
                "status": "CURRENT",
                "links": [{"rel": "self", "href": f"{links.service_url(request, service)}/"}],
            }
            for service in SERVICES
        ]
    }


def _compute_entry(request: HttpRequest, root: str) -> dict[str, Any]:
    current = root == COMPUTE.root
    return {
        "id": "v2.1" if current else "v2.0",
        "status": "CURRENT" if current else "DEPRECATED",
        "version": str(COMPUTE.max) if current else "",
        "min_version": str(COMPUTE.min) if current else "",
        "updated": "2013-07-23T11:33:21Z" if current else "2011-01-21T11:33:21Z",
        "links": [_self_link(request, COMPUTE, root)],
    }


def compute_versions(request: HttpRequest) -> dict[str, Any]:
    """Return the list at the compute API's unversioned address."""
    return {"versions": [_compute_entry(request, COMPUTE.legacy_root), _compute_entry(request, COMPUTE.root)]}


def _compute_media_types(identifier: str) -> list[dict[str, str]]:
    number = identifier.removeprefix("v")
    return [{"base": _JSON, "type": f"application/vnd.openstack.compute+json;version={number}"}]


def _compute_version(root: str) -> Document:
    def document(request: HttpRequest) -> dict[str, Any]:
        entry = _compute_entry(request, root)
        described = {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}
        entry["links"].append(described)
        return {"version": {**entry, "media-types": _compute_media_types(entry["id"])}}

    return document


def compute_choices(request: HttpRequest) -> dict[str, Any]:
    """Return where a path without a version would be in each version."""
    rest = request.path.removeprefix(f"/{COMPUTE.prefix}/").lstrip("/")
    choices = []
    for root in (COMPUTE.legacy_root, COMPUTE.root):
        entry = _compute_entry(request, root)
        href = f"{links.service_url(request, COMPUTE)}/{root}/{rest}"
        choices.append(
            {
                "id": entry["id"],
                "status": entry["status"],
                "links": [{"rel": "self", "href": href}],
                "media-types": _compute_media_types(entry["id"]),
            }
        )
    return {"choices": choices}


def _identity_entry(request: HttpRequest) -> dict[str, Any]:
    return {
        "id": f"v{IDENTITY.max}",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [_self_link(request, IDENTITY, IDENTITY.root)],
        "media-types": [{"base": _JSON, "type": "application/vnd.openstack.identity-v3+json"}],
    }


def identity_versions(request: HttpRequest) -> dict[str, Any]:
    """Return the list at the identity API's unversioned address."""
    return {"versions": {"values": [_identity_entry(request)]}}


def identity_version(request: HttpRequest) -> dict[str, Any]:
    """Return the document of identity v3."""
    return {"version": _identity_entry(request)}


def image_versions(request: HttpRequest) -> dict[str, Any]:
    """Return the list at the image API's unversioned address."""
    minors = range(IMAGE.max.minor, IMAGE.min.minor - 1, -1)
    return {
        "versions": [
            {
                "id": f"v{IMAGE.max.major}.{minor}",
                "status": "CURRENT" if minor == IMAGE.max.minor else "SUPPORTED",
                "links": [_self_link(request, IMAGE, IMAGE.root)],
            }
            for minor in minors
        ]
    }


def network_versions(request: HttpRequest) -> dict[str, Any]:
    """Return the list at the network API's unversioned address."""
    return {
        "versions": [
            {"id": "v2.0", "status": "CURRENT", "links": [_self_link(request, NETWORK, NETWORK.root)]},
        ]
    }


def network_resources(request: HttpRequest) -> dict[str, Any]:
    """Return the collections of network v2.0."""
    root = f"{links.service_url(request, NETWORK)}/{NETWORK.root}"
    names = ("networks", "subnets", "ports", "security_groups", "security_group_rules", "extensions")
    return {
        "resources": [
            {
                "name": name.rstrip("s"),
                "collection": name,
                "links": [{"rel": "self", "href": f"{root}/{name.replace('_', '-')}"}],
            }
            for name in names
        ]
    }


def placement_versions(request: HttpRequest) -> dict[str, Any]:
    """Return the one version of placement, with its range."""
    return {
        "versions": [
            {
                "id": "v1.0",
                "status": "CURRENT",
                "min_version": str(PLACEMENT.min),
                "max_version": str(PLACEMENT.max),
                "links": [{"rel": "self", "href": f"{links.service_url(request, PLACEMENT)}/"}],
            }
        ]
    }


def _both(address: str, view: Callable[..., HttpResponseBase]) -> list[URLPattern]:
    return [path(address, view), path(f"{address}/", view)]


urlpatterns: list[URLPattern] = [
    path("", _served(everything, 300)),
    *_both("compute", _served(compute_versions)),
    *_both("compute/v2.1", _served(_compute_version("v2.1"))),
    *_both("compute/v2", _served(_compute_version("v2"))),
    *_both("identity", _served(identity_versions, 300)),
    *_both("identity/v3", _served(identity_version)),
    *_both("image", _served(image_versions, 300)),
    *_both("image/versions", _served(image_versions)),
    *_both("network", _served(network_versions)),
    *_both("network/v2.0", _served(network_resources)),
    *_both("placement", _served(placement_versions)),
    re_path(r"^compute/(?!v2(?:\.1)?/)", _served(compute_choices, 300)),
]
