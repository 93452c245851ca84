"""Changing what is said about a server: PUT, and its metadata."""

import pytest

from instances.models import Instance
from tests.instances.conftest import refused


def test_words_about_a_server_can_be_changed(alice, server):
    instance = server()
    change = {
        "name": "new",
        "description": "words",
        "hostname": "h.example.org",
        "accessIPv4": "10.0.0.1",
        "accessIPv6": "fd00::1",
        "OS-DCF:diskConfig": "AUTO",
    }
    answer = alice.put(f"/servers/{instance.id}", {"server": change})
    assert answer.status_code == 200, answer.content
    shown = answer.json()["server"]
    assert shown["OS-EXT-SRV-ATTR:hostname"] == "h.example.org"
    assert {key: shown[key] for key in change if key != "hostname"} == {
        key: value for key, value in change.items() if key != "hostname"
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"accessIPv4": "x"}, "accessIPv4"),
        ({"OS-DCF:diskConfig": "x"}, "diskConfig"),
        ({"hostname": "a b"}, "hostname"),
        ({"status": "ACTIVE"}, "status"),
        ({"vm_state": "active"}, "vm_state"),
        ([], "server"),
    ],
)
def test_what_can_not_be_changed_is_refused(alice, server, change, words):
    instance = server(name="old")
    assert words in refused(alice.put(f"/servers/{instance.id}", {"server": change}), 400)
    assert Instance.objects.get().name == "old"


def test_a_version_changes_what_it_knows(alice, server):
    path = f"/servers/{server().id}"
    refused(alice.at("2.18").put(path, {"server": {"description": "x"}}), 400)
    refused(alice.at("2.89").put(path, {"server": {"hostname": "x"}}), 400)
    refused(alice.at("2.93").put(path, {"server": {"hostname": "x.y"}}), 400)


def test_metadata_is_added_replaced_and_removed(alice, server):
    path = f"/servers/{server(metadata={'a': '1'}).id}/metadata"
    assert alice.get(path).json() == {"metadata": {"a": "1"}}
    assert alice.post(path, {"metadata": {"b": "2", "ü": "ß"}}).status_code == 400
    assert alice.post(path, {"metadata": {"b": 'ß"'}}).json() == {"metadata": {"a": "1", "b": 'ß"'}}
    assert alice.put(f"{path}/a", {"meta": {"a": "3"}}).json() == {"meta": {"a": "3"}}
    assert alice.get(f"{path}/a").json() == {"meta": {"a": "3"}}
    assert alice.delete(f"{path}/a").status_code == 204
    refused(alice.get(f"{path}/a"), 404)
    refused(alice.delete(f"{path}/a"), 404)
    assert alice.put(path, {"metadata": {"c": "4"}}).json() == {"metadata": {"c": "4"}}
    assert Instance.objects.get().metadata == {"c": "4"}


def test_metadata_given_at_creation_can_be_changed(alice, body):
    body["server"]["metadata"] = {"a": "1", "b": 'ß"'}
    path = f"/servers/{alice.post('/servers', body).json()['server']['id']}/metadata"
    Instance.objects.update(vm_state="active", task_state=None)
    assert alice.post(path, {"metadata": {"c": "2"}}).json()["metadata"] == {"a": "1", "b": 'ß"', "c": "2"}
    assert alice.delete(f"{path}/a").status_code == 204


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"metadata": None},
        {"metadata": []},
        {"metadata": {"a": 1}},
        {"metadata": {"": "x"}},
        {"metadata": {"a": "x" * 256}},
        {"metadata": {"a" * 256: "x"}},
        {"metadata": {}, "more": {}},
        {"meta": {"a": "b"}},
    ],
)
def test_metadata_that_makes_no_sense_is_refused(alice, server, body):
    instance = server(metadata={"a": "1"})
    refused(alice.post(f"/servers/{instance.id}/metadata", body), 400)
    assert Instance.objects.get().metadata == {"a": "1"}


def test_metadata_has_a_quota_over_all_writes(alice, server):
    path = f"/servers/{server().id}/metadata"
    alice.post(path, {"metadata": {f"k{number}": "v" for number in range(128)}})
    assert refused(alice.post(path, {"metadata": {"one": "more"}}), 403) == (
        "Maximum number of metadata items exceeds 128"
    )


@pytest.mark.parametrize("states", [("building", "spawning"), ("active", "powering-off"), ("error", None)])
def test_metadata_is_not_written_in_a_wrong_state(alice, server, states):
    instance = server(*states)
    message = refused(alice.post(f"/servers/{instance.id}/metadata", {"metadata": {"a": "b"}}), 409)
    assert message.startswith(f"Cannot 'update metadata' instance {instance.id} while it is in ")


def test_one_item_s_key_must_be_that_of_its_address(alice, server):
    path = f"/servers/{server().id}/metadata/a"
    refused(alice.put(path, {"meta": {"b": "c"}}), 400)
    refused(alice.put(path, {"meta": {"a": "b", "c": "d"}}), 400)
    refused(alice.put(path, {"meta": {}}), 400)


def test_addresses_are_shown_by_network(alice, server):
    every = {"net 1": [{"addr": "10.0.0.5", "version": 4, "OS-EXT-IPS:type": "fixed"}]}
    path = f"/servers/{server(addresses=every).id}/ips"
    assert alice.get(path).json() == {"addresses": {"net 1": [{"version": 4, "addr": "10.0.0.5"}]}}
    assert alice.get(f"{path}/net 1").json() == {"net 1": [{"version": 4, "addr": "10.0.0.5"}]}
    refused(alice.get(f"{path}/other"), 404)
