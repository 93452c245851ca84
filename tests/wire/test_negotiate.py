"""Which version a request gets, and what the answer says about it."""

import pytest
from django.test import Client

THINGS = "/compute/v2.1/things"
NEW, OLD = "OpenStack-API-Version", "X-OpenStack-Nova-API-Version"


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({}, "2.1"),
        ({OLD: "2.19"}, "2.19"),
        ({NEW: "compute 2.37"}, "2.37"),
        ({NEW: "COMPUTE 2.37"}, "2.37"),
        ({NEW: "compute 2.37", OLD: "2.19"}, "2.37"),
        ({NEW: "volume 3.1, compute 2.40"}, "2.40"),
        ({NEW: "volume 3.1", OLD: "2.19"}, "2.19"),
        ({NEW: "volume 3.1"}, "2.1"),
        ({NEW: "compute latest"}, "2.104"),
        ({OLD: "latest"}, "2.104"),
    ],
)
def test_version_is_negotiated_by_both_headers(client: Client, headers: dict[str, str], version: str) -> None:
    answer = client.get(THINGS, headers=headers)
    assert answer.status_code == 200
    assert answer.headers[NEW] == f"compute {version}"
    assert answer.headers[OLD] == version
    assert answer.headers["Vary"] == f"{NEW}, {OLD}"


@pytest.mark.parametrize(
    "version", ["2", "2.x", "two", "2.1.3", "2.01", "", "2.1 ", "-2.1", "2.99999999999999999999"]
)
def test_malformed_version_is_400(client: Client, version: str) -> None:
    answer = client.get(THINGS, headers={OLD: version + "x"})
    assert answer.status_code == 400
    assert answer.json()["badRequest"]["code"] == 400


@pytest.mark.parametrize("version", ["2.105", "1.1", "3.0", "2.0"])
def test_version_out_of_range_is_406_and_names_the_range(client: Client, version: str) -> None:
    answer = client.get(THINGS, headers={NEW: f"compute {version}"})
    assert answer.status_code == 406
    fault = answer.json()["computeFault"]
    assert fault["code"] == 406
    assert version in fault["message"] and "2.1 " in fault["message"] and "2.104" in fault["message"]


def test_errors_say_the_version_too(client: Client) -> None:
    answer = client.get("/compute/v2.1/failing/Conflict", headers={NEW: "compute 2.50"})
    assert answer.status_code == 409
    assert answer.headers[NEW] == "compute 2.50"
    assert OLD in answer.headers["Vary"]


def test_unmatched_addresses_say_that_answers_vary(client: Client) -> None:
    answer = client.get("/compute/v2.1/nothing-here")
    assert answer.status_code == 404
    assert NEW in answer.headers["Vary"]


def test_oldest_root_has_no_versions_and_drops_unknown_keys(client: Client) -> None:
    body = {"thing": {"name": "x", "nonsense": 1}, "more": 2}
    answer = client.post("/compute/v2/things", body, "application/json", headers={NEW: "compute 2.50"})
    assert answer.status_code == 200
    assert answer.json()["thing"]["links"][0]["href"] == "http://testserver/compute/v2/things/t1"
    assert NEW not in answer.headers


def test_services_without_versions_say_nothing_of_them(client: Client) -> None:
    assert NEW not in client.get("/identity/v3/missing").headers


def test_route_exists_only_in_its_versions(client: Client) -> None:
    assert client.get("/compute/v2.1/tags", headers={OLD: "2.25"}).status_code == 404
    assert client.get("/compute/v2.1/tags", headers={OLD: "2.26"}).status_code == 200
    assert client.delete(THINGS, headers={OLD: "2.35"}).status_code == 204
    refused = client.delete(THINGS, headers={OLD: "2.36"})
    assert refused.status_code == 404
    assert refused.json()["itemNotFound"]["code"] == 404


def test_answer_differs_as_declared(client: Client) -> None:
    body = {"thing": {"name": "x"}}
    first = client.post(THINGS, body, "application/json")
    assert (first.status_code, first.headers.get("Location")) == (200, None)
    later = client.post(THINGS, body, "application/json", headers={OLD: "2.2"})
    assert (later.status_code, later.headers["Location"]) == (202, "http://testserver/compute/v2.1/things/t1")


def test_behaviour_and_empty_body_follow_the_version(client: Client) -> None:
    assert client.put(THINGS, headers={OLD: "2.100"}).json() == {"async": False}
    answer = client.put(THINGS, headers={OLD: "2.101"})
    assert (answer.status_code, answer.content) == (202, b"")


@pytest.mark.parametrize(
    ("version", "flags", "keys"),
    [
        ("2.1", "", ["id", "name", "size", "flavor"]),
        ("2.1", "admin", ["id", "name", "size", "flavor", "host"]),
        ("2.19", "", ["id", "name", "size", "flavor", "description"]),
        ("2.89", "", ["id", "name", "size", "flavor", "description"]),
        ("2.90", "", ["id", "name", "size", "flavor", "description", "host"]),
        ("2.90", "admin", ["id", "name", "size", "flavor", "description", "host"]),
    ],
)
def test_answer_has_exactly_the_keys_of_its_version(
    client: Client, version: str, flags: str, keys: list[str]
) -> None:
    answer = client.get(f"{THINGS}/t7", headers={OLD: version, "X-Flags": flags})
    assert list(answer.json()["thing"]) == keys


@pytest.mark.parametrize(
    ("version", "flavor"),
    [
        ("2.46", {"id": "f1"}),
        ("2.47", {"ram": 1, "vcpus": 2}),
        ("2.61", {"ram": 1, "vcpus": 2, "extra_specs": {"a": "b"}}),
    ],
)
def test_inner_resource_has_its_own_keys(client: Client, version: str, flavor: dict[str, object]) -> None:
    assert client.get(f"{THINGS}/t7", headers={OLD: version}).json()["thing"]["flavor"] == flavor
