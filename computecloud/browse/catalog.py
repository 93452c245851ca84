"""The pages of what a tenant chooses from: flavors, images, networks."""

from typing import Any
from urllib.parse import quote

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from computecloud.browse import show
from computecloud.browse.calls import Api
from computecloud.browse.servers import ROOT, after
from computecloud.browse.sessions import page
from computecloud.browse.show import Cell, Fact, Table

IMAGES, NETWORKS = "/image/v2/images", "/network/v2.0/networks"
PAGE = 50


def _at(collection: str, identifier: str) -> str:
    return f"{collection}/{quote(identifier, safe='')}"


@require_safe
@page
def flavors(api: Api) -> HttpResponse:
    """List the flavors that the project may use."""
    at = f"{ROOT}/flavors"
    body = api.get(f"{at}/detail", limit=PAGE, marker=api.request.GET.get("marker"))
    rows = [
        (
            [Cell(one["name"], _at(at, one["id"]))],
            show.text(one["vcpus"]),
            [Cell(f"{one['ram']} MiB")],
            [Cell(f"{one['disk']} GiB")],
            show.text(one.get("description")),
        )
        for one in body["flavors"]
    ]
    headings = ("Name", "CPUs", "Memory", "Disk", "Description")
    table = Table("Flavors", headings, rows, more=after(body.get("flavors_links"), at))
    return show.answer(api.request, "list.html", title="Flavors", tables=[table])


@require_safe
@page
def flavor(api: Api, flavor_id: str) -> HttpResponse:
    """Show a flavor."""
    one = api.get(_at(f"{ROOT}/flavors", flavor_id))["flavor"]
    facts: list[Fact] = [
        ("Id", show.text(one["id"])),
        ("CPUs", show.text(one["vcpus"])),
        ("Memory", [Cell(f"{one['ram']} MiB")]),
        ("Disk", [Cell(f"{one['disk']} GiB")]),
        ("Swap", [Cell(f"{one['swap'] or 0} MiB")]),
        ("Public", show.text(one["os-flavor-access:is_public"])),
        ("Description", show.text(one.get("description"))),
        ("Extra specs", show.text(one.get("extra_specs"))),
    ]
    return show.answer(api.request, "facts.html", title=one["name"], facts=facts)


@require_safe
@page
def images(api: Api) -> HttpResponse:
    """List the images that the project sees."""
    body = api.get(IMAGES, limit=PAGE, marker=api.request.GET.get("marker"))
    rows = [
        (
            [Cell(one["name"] or one["id"], _at(IMAGES, one["id"]))],
            [show.status(one["status"])],
            show.text(one["visibility"]),
            show.text(one["disk_format"]),
            _size(one["size"]),
        )
        for one in body["images"]
    ]
    more = f"{IMAGES}?marker={body['images'][-1]['id']}" if "next" in body else ""
    table = Table("Images", ("Name", "Status", "Visibility", "Format", "Size"), rows, more=more)
    return show.answer(api.request, "list.html", title="Images", tables=[table])


@require_safe
@page
def image(api: Api, image_id: str) -> HttpResponse:
    """Show an image."""
    one = api.get(_at(IMAGES, image_id))
    facts: list[Fact] = [
        ("Id", show.text(one["id"])),
        ("Status", [show.status(one["status"])]),
        ("Size", _size(one["size"])),
        *(
            (key, show.text(value))
            for key, value in sorted(one.items())
            if key not in ("id", "name", "status", "size", "self", "file", "schema")
        ),
    ]
    return show.answer(api.request, "facts.html", title=one["name"] or one["id"], facts=facts)


@require_safe
@page
def networks(api: Api) -> HttpResponse:
    """List the networks that the project sees."""
    marker = api.request.GET.get("marker")
    body = api.get(NETWORKS, limit=PAGE, marker=marker)
    rows = [
        (
            [Cell(one["name"] or one["id"], _at(NETWORKS, one["id"]))],
            [show.status(one["status"])],
            show.text(one["shared"]),
            show.text(one["router:external"]),
            show.text(len(one["subnets"])),
        )
        for one in body["networks"]
    ]
    more = after(body.get("networks_links"), NETWORKS)
    table = Table("Networks", ("Name", "Status", "Shared", "External", "Subnets"), rows, more=more)
    return show.answer(api.request, "list.html", title="Networks", tables=[table])


@require_safe
@page
def network(api: Api, network_id: str) -> HttpResponse:
    """Show a network with its subnets and ports."""
    one = api.get(_at(NETWORKS, network_id))["network"]
    subnets = api.found("/network/v2.0/subnets", "subnets", network_id=one["id"])
    ports = api.found("/network/v2.0/ports", "ports", network_id=one["id"], limit=PAGE)
    facts: list[Fact] = [
        ("Id", show.text(one["id"])),
        ("Status", [show.status(one["status"])]),
        ("Shared", show.text(one["shared"])),
        ("External", show.text(one["router:external"])),
        ("MTU", show.text(one.get("mtu"))),
        ("Description", show.text(one.get("description"))),
    ]
    rows = [
        (
            [Cell(subnet["name"] or subnet["id"], _at("/network/v2.0/subnets", subnet["id"]))],
            show.text(subnet["cidr"]),
            show.text(subnet["gateway_ip"]),
            show.text(subnet["dns_nameservers"]),
        )
        for subnet in subnets
    ]
    tables = [
        Table("Subnets", ("Name", "Range", "Gateway", "Name servers"), rows),
        Table("Ports", ("Addresses", "Status", "Used by"), [_port(port) for port in ports]),
    ]
    return show.answer(api.request, "facts.html", title=one["name"] or one["id"], facts=facts, tables=tables)


def _port(port: dict[str, Any]) -> tuple[list[Cell], ...]:
    owner = port["device_id"]
    is_server = port["device_owner"].startswith("compute:")
    return (
        [Cell(at["ip_address"], _at("/network/v2.0/ports", port["id"])) for at in port["fixed_ips"]]
        or [Cell(port["id"], _at("/network/v2.0/ports", port["id"]))],
        [show.status(port["status"])],
        show.text(
            owner and (owner if is_server else port["device_owner"]),
            _at(f"{ROOT}/servers", owner) if is_server else "",
        ),
    )


def _size(size_bytes: int | None) -> list[Cell]:
    return [] if size_bytes is None else [Cell(f"{size_bytes / 2**20:,.1f} MiB")]
