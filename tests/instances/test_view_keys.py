"""Every answer has exactly the keys of its microversion, from the first version to the newest."""

from collections import defaultdict
from pathlib import Path

import pytest

from computecloud.wire.services import COMPUTE, Version
from instances.api.changes import CHANGES, EXTENDED, HOST_STATUS
from tests.instances.conftest import KEYS_OF_ADMINS, a_server

TABLE = Path(__file__).with_name("server_view_keys.txt")
VERSIONS = [Version(2, minor) for minor in range(COMPUTE.min.minor, COMPUTE.max.minor + 1)]
FLAGS = frozenset({EXTENDED, HOST_STATUS, "events", "details"})


def table():
    """Return {view: [(version, sign, keys)]} in the file's order."""
    found = defaultdict(list)
    for line in TABLE.read_text().splitlines():
        if line and not line.startswith("#"):
            view, version, sign, keys = line.split(maxsplit=3)
            found[view].append((Version.parse(version), sign, keys.split()))
    return found


def keys_at(view, version):
    """Return (keys that are always there, keys that are there for some) by the table."""
    keys = set()
    for since, sign, named in table()[view]:
        if since <= version:
            keys = set(named) if sign == "=" else keys | set(named) if sign == "+" else keys - set(named)
    return {key for key in keys if not key.endswith("?")}, {key[:-1] for key in keys if key.endswith("?")}


def edges():
    """Return each version at which an answer changes, the one before it, and the newest."""
    changing = {version.minor for rows in table().values() for version, _, _ in rows}
    minors = changing | {minor - 1 for minor in changing} | {COMPUTE.max.minor}
    return [version for version in VERSIONS if version.minor in minors]


@pytest.mark.parametrize(
    "view",
    [
        *("server.brief", "server.detail", "server.show", "server.update"),
        *("flavor.brief", "flavor.detail"),
        *("keypair.brief", "keypair.show", "keypair.create"),
        *("action.brief", "action.show", "action.event"),
    ],
)
def test_a_projection_has_exactly_the_keys_of_every_version(view):
    resource, kind = view.split(".") if view != "action.event" else ("event", "show")
    for version in VERSIONS:
        always, sometimes = keys_at(view, version)
        for flags in (frozenset(), FLAGS):
            projection = CHANGES.at(version).projection(resource, kind, flags)
            shown = {*projection.keys, *(key for key, _ in projection.optional)}
            assert len(shown) == len(projection.keys) + len(projection.optional)
            assert shown <= always | sometimes
            assert always - {"private_key"} <= set(projection.keys)
            if flags:
                assert shown == always | sometimes


@pytest.mark.parametrize("version", edges(), ids=str)
def test_a_server_shown_by_the_api_has_the_keys_and_the_parts_of_its_version(alice, admin, server, version):
    instance = server(
        "error",
        fault={"code": 500, "message": "m", "created": "2026-01-01T00:00:00Z", "details": "d"},
        volumes=[{"id": "v", "delete_on_termination": True}],
    )
    for tenant in (alice.at(str(version)), admin.at(str(version))):
        answers = {
            "server.show": tenant.get(f"/servers/{instance.id}").json()["server"],
            "server.update": tenant.put(f"/servers/{instance.id}", {"server": {"name": "n"}}).json()[
                "server"
            ],
        }
        if tenant.project_id == alice.project_id:
            answers["server.detail"] = tenant.get("/servers/detail").json()["servers"][0]
            answers["server.brief"] = tenant.get("/servers").json()["servers"][0]
        for view, shown in answers.items():
            always, sometimes = keys_at(view, version)
            hidden = {"progress"} if tenant.project_id != alice.project_id else {"progress", *KEYS_OF_ADMINS}
            expected = always | (sometimes - hidden)
            assert set(shown) == expected, (view, tenant.version)
            for part, one in (
                ("server.flavor", shown.get("flavor")),
                ("server.image", shown.get("image")),
                ("server.volume", shown.get("os-extended-volumes:volumes_attached", [None])[0]),
            ):
                if one:
                    assert set(one) == keys_at(part, version)[0], (part, tenant.version)


def test_an_active_server_has_progress_and_no_fault(alice):
    shown = alice.get(
        f"/servers/{a_server(alice, 'active', fault={'code': 500, 'message': 'old'}).id}"
    ).json()["server"]
    assert shown["progress"] == 0
    assert "fault" not in shown
