"""A server's tags: all routes, their limits and refusals."""

import pytest

from instances.models import Instance
from tests.instances.conftest import refused


def tags_of(instance):
    return Instance.objects.get(id=instance.id).tags


def test_tags_are_listed_set_added_and_removed(alice, server):
    instance = server(tags=["blüe", "red"])
    path = f"/servers/{instance.id}/tags"
    assert alice.get(path).json() == {"tags": ["blüe", "red"]}
    assert (alice.get(f"{path}/red").status_code, alice.get(f"{path}/red").content) == (204, b"")
    refused(alice.get(f"{path}/green"), 404)
    added = alice.put(f"{path}/green", None)
    assert (added.status_code, added["Location"].endswith(f"{path}/green")) == (201, True)
    assert alice.put(f"{path}/green", None).status_code == 204
    assert tags_of(instance) == ["blüe", "green", "red"]
    assert alice.delete(f"{path}/red").status_code == 204
    assert refused(alice.delete(f"{path}/red"), 404) == f"Server {instance.id} has no tag 'red'"
    assert alice.put(path, {"tags": ["z", "ä", "z"]}).json() == {"tags": ["z", "ä"]}
    assert alice.get(f"/servers/{instance.id}").json()["server"]["tags"] == ["z", "ä"]
    assert alice.delete(path).status_code == 204
    assert tags_of(instance) == []


def test_tags_given_at_creation_can_be_changed(alice, body):
    body["server"]["tags"] = ["ü", "a"]
    path = f"/servers/{alice.post('/servers', body).json()['server']['id']}/tags"
    Instance.objects.update(vm_state="active", task_state=None)
    assert alice.put(f"{path}/b", None).status_code == 201
    assert alice.get(path).json() == {"tags": ["a", "b", "ü"]}


def test_a_server_has_fifty_tags_at_most(alice, server):
    instance = server(tags=sorted(f"t{number:02}" for number in range(50)))
    path = f"/servers/{instance.id}/tags"
    assert (
        refused(alice.put(f"{path}/new", None), 400) == "The number of tags exceeded the per-server limit 50"
    )
    assert alice.put(f"{path}/t00", None).status_code == 204
    refused(alice.put(path, {"tags": [f"n{number}" for number in range(51)]}), 400)
    assert len(tags_of(instance)) == 50


@pytest.mark.parametrize("tag", ["x" * 61, "a,b", "a%0Ab"])
def test_a_tag_that_is_none_is_refused(alice, server, tag):
    instance = server()
    refused(alice.put(f"/servers/{instance.id}/tags/{tag}", None), 400)
    assert tags_of(instance) == []


@pytest.mark.parametrize(
    "body",
    [None, {}, {"tags": None}, {"tags": "a"}, {"tags": [""]}, {"tags": ["a/b"]}, {"tags": ["a,b"]},
     {"tags": ["x" * 61]}, {"tags": [1]}, {"tags": [], "more": 1}, []],
)  # fmt: skip
def test_tags_that_make_no_sense_are_refused(alice, server, body):
    instance = server(tags=["a"])
    refused(alice.put(f"/servers/{instance.id}/tags", body), 400)
    assert tags_of(instance) == ["a"]


CALLS = {
    "update tags": ("PUT", "", {"tags": ["b"]}),
    "update tag": ("PUT", "/b", None),
    "delete tags": ("DELETE", "", None),
    "delete tag": ("DELETE", "/a", None),
}


@pytest.mark.parametrize("name", CALLS)
def test_tags_are_not_changed_in_a_wrong_state_nor_by_who_may_not(alice, bob, reader, server, name):
    method, path, body = CALLS[name]
    instance = server("error", tags=["a"])
    url = f"/servers/{instance.id}/tags{path}"
    words = refused(alice.call(method, url, body), 409)
    assert words == f"Cannot '{name}' instance {instance.id} while it is in vm_state error"
    refused(bob.call(method, url, body), 404)
    refused(reader.call(method, url, body), 403)
    assert tags_of(instance) == ["a"]


def test_tags_may_be_changed_while_something_is_done(alice, server):
    instance = server("active", "powering-off")
    assert alice.put(f"/servers/{instance.id}/tags/a", None).status_code == 201


def test_readers_see_tags_and_strangers_none(alice, bob, reader, server):
    instance = server(tags=["a"])
    assert reader.get(f"/servers/{instance.id}/tags/a").status_code == 204
    refused(bob.get(f"/servers/{instance.id}/tags"), 404)
    refused(bob.get(f"/servers/{instance.id}/tags/a"), 404)


def test_older_versions_have_no_tags(alice, server):
    path = f"/servers/{server().id}/tags"
    refused(alice.at("2.25").get(path), 404)
    refused(alice.at("2.25").put(f"{path}/a", None), 404)
