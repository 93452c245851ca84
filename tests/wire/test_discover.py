"""Version documents."""

from typing import Any

import pytest
from django.test import Client


def get(nobody: Client, path: str, status: int = 200) -> Any:
    answer = nobody.get(path)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    return answer.json()


@pytest.mark.parametrize("path", ["/compute", "/compute/"])
def test_compute_lists_its_versions(nobody: Client, path: str) -> None:
    versions = get(nobody, path)["versions"]
    assert [entry["id"] for entry in versions] == ["v2.0", "v2.1"]
    assert [entry["status"] for entry in versions] == ["DEPRECATED", "CURRENT"]
    assert (versions[1]["min_version"], versions[1]["version"]) == ("2.1", "2.104")
    assert (versions[0]["min_version"], versions[0]["version"]) == ("", "")


def test_compute_self_links_lead_to_documents_with_the_same_link(nobody: Client) -> None:
    for entry in get(nobody, "/compute/")["versions"]:
        [link] = entry["links"]
        document = get(nobody, link["href"].removeprefix("http://testserver"))["version"]
        assert document["id"] == entry["id"]
        assert link in document["links"]
        assert document["media-types"][0]["base"] == "application/json"
        assert {link["rel"] for link in document["links"]} == {"self", "describedby"}


@pytest.mark.parametrize("path", ["/compute/servers", "/compute/v3/servers", "/compute/v2.10/x"])
def test_compute_path_without_a_version_is_300_with_choices(nobody: Client, path: str) -> None:
    choices = get(nobody, path, 300)["choices"]
    assert [choice["id"] for choice in choices] == ["v2.0", "v2.1"]
    rest = path.removeprefix("/compute/")
    assert choices[1]["links"][0]["href"] == f"http://testserver/compute/v2.1/{rest}"


def test_identity_lists_its_version_with_300(nobody: Client) -> None:
    [entry] = get(nobody, "/identity/", 300)["versions"]["values"]
    assert entry["status"] == "stable"
    assert get(nobody, "/identity/v3")["version"] == entry
    assert get(nobody, "/identity/v3/")["version"] == entry


def test_image_network_and_placement_list_theirs(nobody: Client) -> None:
    images = get(nobody, "/image/", 300)["versions"]
    assert [entry["status"] for entry in images].count("CURRENT") == 1
    assert get(nobody, "/image/versions")["versions"] == images
    [network] = get(nobody, "/network/")["versions"]
    assert network["id"] == "v2.0"
    assert {row["collection"] for row in get(nobody, "/network/v2.0/")["resources"]} >= {"networks", "ports"}
    [placement] = get(nobody, "/placement/")["versions"]
    assert (placement["min_version"], placement["max_version"]) == ("1.0", "1.39")


def test_root_names_every_service(nobody: Client) -> None:
    choices = get(nobody, "/", 300)["choices"]
    assert {choice["id"] for choice in choices} == {
        *("identity", "compute", "image", "network", "placement", "operations")
    }


@pytest.mark.parametrize("method", ["post", "put", "delete", "options"])
def test_documents_are_only_read(nobody: Client, method: str) -> None:
    answer = getattr(nobody, method)("/compute/v2.1/")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
