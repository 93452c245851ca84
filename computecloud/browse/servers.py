"""The pages of servers: list, one with what can be done to it now, console, and asking back before one is deleted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from computecloud.browse import operations, show
from computecloud.browse.calls import Api
from computecloud.browse.sessions import page
from computecloud.browse.show import Button, Cell, Fact, Table
from identity.caller import Caller
from instances import policies, states

ROOT = "/compute/v2.1"
PAGE = 50
CONSOLE_LINES = 300
IMAGES_NAMED = 200
NAMED_IF_NONE = frozenset({"Addresses", "Image", "Key pair"})


@dataclass(frozen=True, slots=True)
class Act:
    """A button of a server: `action` in the table of states ("" for a change in any), `key` and `body` in the API."""

    words: str
    action: str
    key: str
    rule: str
    body: Mapping[str, str] = field(default_factory=dict)


_SERVERS = "os_compute_api:servers:"
ACTS = {
    "start": Act("Start", "start", "os-start", _SERVERS + "start"),
    "stop": Act("Stop", "stop", "os-stop", _SERVERS + "stop"),
    "reboot": Act("Reboot", "reboot", "reboot", _SERVERS + "reboot", {"type": "SOFT"}),
    "reboot_hard": Act("Hard reboot", "reboot_hard", "reboot", _SERVERS + "reboot", {"type": "HARD"}),
    "pause": Act("Pause", "pause", "pause", "os_compute_api:os-pause-server:pause"),
    "unpause": Act("Unpause", "unpause", "unpause", "os_compute_api:os-pause-server:unpause"),
    "suspend": Act("Suspend", "suspend", "suspend", "os_compute_api:os-suspend-server:suspend"),
    "resume": Act("Resume", "resume", "resume", "os_compute_api:os-suspend-server:resume"),
    "lock": Act("Lock", "", "lock", "os_compute_api:os-lock-server:lock"),
    "unlock": Act("Unlock", "", "unlock", "os_compute_api:os-lock-server:unlock"),
}


def address(server_id: str) -> str:
    """Return where a server's page is: at its address in the API."""
    return f"{ROOT}/servers/{quote(server_id, safe='')}"


@require_safe
@page
def listing(api: Api) -> HttpResponse:
    """Show the project's servers."""
    body = api.get(f"{ROOT}/servers/detail", limit=PAGE, marker=api.request.GET.get("marker"))
    images = _image_names(api) if body["servers"] else {}
    flavors = _flavor_ids(api) if body["servers"] else {}
    table = Table(
        "Servers",
        ("Name", "Status", "Addresses", "Flavor", "Image", "Created"),
        [
            (
                [Cell(one["name"], address(one["id"]))],
                [show.status(one["status"])],
                [Cell(at) for at in _addresses(one)],
                _flavor(one, flavors),
                _image(one, images),
                show.text(show.moment(one["created"])),
            )
            for one in body["servers"]
        ],
        "There is no server yet.",
        after(body.get("servers_links"), f"{ROOT}/servers"),
    )
    new = [Button("Create server", "/browse/servers/new")] if _may(api, _SERVERS + "create") else []
    return show.answer(api.request, "list.html", title="Servers", tables=[table], buttons=new)


@require_safe
@page
def one(api: Api, server_id: str) -> HttpResponse:
    """Show a server, what can be done to it now, and what was done to it."""
    server = api.get(address(server_id))["server"]
    networks = {one["name"]: one["id"] for one in api.found("/network/v2.0/networks", "networks")}
    done = api.found("/operations/", "operations", server=server["id"], limit=20)
    newest = operations.timeline(api, done[0]["id"]) if done else None
    was_busy = server["OS-EXT-STS:task_state"] is not None
    if was_busy:  # perhaps no longer, and a page with nothing to follow would stay as it is
        server = api.get(address(server_id))["server"]
    return show.answer(
        api.request,
        "server.html",
        title=server["name"],
        status=200,
        state=show.status(server["status"]),
        facts=_facts(api, server, networks),
        fault=server.get("fault"),
        buttons=buttons(api.caller, server),
        newest=newest,
        tables=[operations.table(done, "Operations")],
    )


def buttons(caller: Caller | None, server: Mapping[str, Any]) -> list[Button]:
    """Return what can be done to a server now, by its state, its lock and the caller's roles."""
    if caller is None:
        return []
    possible = states.allowed(server["OS-EXT-STS:vm_state"], server["OS-EXT-STS:task_state"])
    is_locked = server["locked"]
    may_pass = not is_locked or caller.is_admin
    at = f"/browse/servers/{server['id']}"
    found = [
        Button(act.words, f"{at}/act", {"act": name})
        for name, act in ACTS.items()
        if policies.allows(caller, act.rule)
        and ((may_pass and act.action in possible) if act.action else (name == "unlock") == is_locked)
    ]
    if policies.allows(caller, "os_compute_api:os-console-output"):
        found.append(Button("Console", f"{at}/console"))
    if may_pass and "delete" in possible and policies.allows(caller, _SERVERS + "delete"):
        found.append(Button("Delete…", f"{at}/delete", is_bad=True))
    return found


@require_POST
@page
def act(api: Api, server_id: str) -> HttpResponseBase:
    """Do what a button says, and show the server again."""
    chosen = ACTS.get(api.request.POST.get("act", ""))
    if chosen is None:
        return show.refused(api.request, 400, "There is no such action.")
    body = {chosen.key: dict(chosen.body) or None}
    answer = api.ask("POST", f"{address(server_id)}/action", body)
    if not answer.is_ok:
        return show.refused(api.request, answer.status, answer.message, back=address(server_id))
    return HttpResponseRedirect(address(server_id))


@require_http_methods(["GET", "POST"])
@page
def delete(api: Api, server_id: str) -> HttpResponseBase:
    """Ask back, then delete the server."""
    if api.request.method == "POST":
        answer = api.ask("DELETE", address(server_id))
        if not answer.is_ok:
            return show.refused(api.request, answer.status, answer.message, back=address(server_id))
        return HttpResponseRedirect(f"{ROOT}/servers")
    server = api.get(address(server_id))["server"]
    return show.answer(
        api.request,
        "confirm.html",
        title="Delete a server",
        question=f"Delete the server {server['name']}? Its disk is gone for good then.",
        back=address(server_id),
    )


@require_safe
@page
def console(api: Api, server_id: str) -> HttpResponse:
    """Show the last lines of a server's console."""
    server = api.get(address(server_id))["server"]
    asked = {"os-getConsoleOutput": {"length": CONSOLE_LINES}}
    answer = api.ask("POST", f"{address(server_id)}/action", asked)
    if not answer.is_ok:
        return show.refused(api.request, answer.status, answer.message, back=address(server_id))
    return show.answer(
        api.request,
        "console.html",
        title=f"Console of {server['name']}",
        output=answer.data["output"],
        back=address(server_id),
        lines=CONSOLE_LINES,
    )


def after(links: Any, at: str) -> str:
    """Return the page after this one, by the API's link to it; empty where there is none."""
    href = next((link["href"] for link in links or () if link["rel"] == "next"), "")
    marker = parse_qs(urlsplit(href).query).get("marker", [""])[0]
    return f"{at}?marker={quote(marker, safe='')}" if marker else ""


def _facts(api: Api, server: Mapping[str, Any], networks: Mapping[str, str]) -> list[Fact]:
    ways = [
        Cell(f"{name}: {at['addr']}", f"/network/v2.0/networks/{networks[name]}" if name in networks else "")
        for name, addresses in server["addresses"].items()
        for at in addresses
    ]
    key = server.get("key_name")
    facts: list[Fact] = [
        ("Id", show.text(server["id"])),
        ("Task", show.text(server["OS-EXT-STS:task_state"])),
        ("Addresses", ways),
        ("Flavor", _flavor(server, _flavor_ids(api))),
        ("Image", _image(server, _image_names(api))),
        ("Key pair", show.text(key, f"{ROOT}/os-keypairs/{quote(key, safe='')}" if key else "")),
        ("Security groups", show.text(sorted({one["name"] for one in server.get("security_groups", ())}))),
        ("Zone", show.text(server.get("OS-EXT-AZ:availability_zone"))),
        ("Description", show.text(server.get("description"))),
        ("Tags", show.text(server.get("tags"))),
        ("Metadata", show.text(server["metadata"])),
        ("Locked", show.text(server.get("locked_reason") or server["locked"])),
        ("Created", show.text(show.moment(server["created"]))),
        ("Updated", show.text(show.moment(server["updated"]))),
    ]
    return [(name, cells) for name, cells in facts if cells or name in NAMED_IF_NONE]


def _may(api: Api, rule: str) -> bool:
    return api.caller is not None and policies.allows(api.caller, rule)


def _addresses(server: Mapping[str, Any]) -> list[str]:
    return [at["addr"] for addresses in server["addresses"].values() for at in addresses]


def _flavor_ids(api: Api) -> dict[str, str]:
    return {one["name"]: one["id"] for one in api.found(f"{ROOT}/flavors", "flavors", is_public="none")}


def _image_names(api: Api) -> dict[str, str]:
    return {one["id"]: one["name"] for one in api.found("/image/v2/images", "images", limit=IMAGES_NAMED)}


def _flavor(server: Mapping[str, Any], ids: Mapping[str, str]) -> list[Cell]:
    name = server["flavor"]["original_name"]
    return [Cell(name, f"{ROOT}/flavors/{quote(ids[name], safe='')}" if name in ids else "")]


def _image(server: Mapping[str, Any], names: Mapping[str, str]) -> list[Cell]:
    if not server["image"]:
        return []
    image_id = server["image"]["id"]
    known = names.get(image_id)
    return [Cell(known or image_id, f"/image/v2/images/{image_id}" if known is not None else "")]
