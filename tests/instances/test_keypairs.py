"""Key pairs by the API: bring one, have one made, and what is refused."""

import pytest

from instances import keys
from instances.models import KeyPair
from tests.instances.conftest import refused
from tests.instances.test_create import KEY


def test_a_key_that_is_brought_is_shown_with_its_fingerprint(alice):
    answer = alice.post("/os-keypairs", {"keypair": {"name": "my key_1", "public_key": KEY}})
    assert answer.status_code == 201, answer.content
    made = answer.json()["keypair"]
    assert made["fingerprint"] == keys.ssh_fingerprint(KEY)
    assert "private_key" not in made
    shown = alice.get("/os-keypairs/my key_1").json()["keypair"]
    assert (shown["public_key"], shown["type"], shown["deleted"]) == (KEY, "ssh", False)
    assert [one["keypair"]["name"] for one in alice.get("/os-keypairs").json()["keypairs"]] == ["my key_1"]


@pytest.mark.parametrize("key_type", ["ssh", "x509"])
def test_a_key_that_is_made_shows_its_private_half_once(alice, key_type):
    old = alice.at("2.91")
    made = old.post("/os-keypairs", {"keypair": {"name": "k", "type": key_type}}).json()["keypair"]
    assert "PRIVATE KEY" in made["private_key"]
    assert made["type"] == key_type
    assert "private_key" not in old.get("/os-keypairs/k").json()["keypair"]


def test_statuses_are_those_of_the_version(alice):
    first = alice.at("2.1")
    assert first.post("/os-keypairs", {"keypair": {"name": "k"}}).status_code == 200
    assert first.delete("/os-keypairs/k").status_code == 202
    assert alice.at("2.2").post("/os-keypairs", {"keypair": {"name": "k"}}).status_code == 201
    assert alice.at("2.2").delete("/os-keypairs/k").status_code == 204


def test_a_name_is_taken_once_a_user(alice, bob):
    body = {"keypair": {"name": "k", "public_key": KEY}}
    assert alice.post("/os-keypairs", body).status_code == 201
    assert refused(alice.post("/os-keypairs", body), 409) == "Key pair 'k' already exists."
    assert bob.post("/os-keypairs", body).status_code == 201
    assert KeyPair.objects.count() == 2


@pytest.mark.parametrize(
    ("keypair", "words"),
    [
        ({}, "name"),
        ({"name": "k"}, "public_key"),
        ({"name": "", "public_key": KEY}, "name"),
        ({"name": "k" * 256, "public_key": KEY}, "name"),
        ({"name": "a/b", "public_key": KEY}, "unsafe characters"),
        ({"name": "ключ", "public_key": KEY}, "unsafe characters"),
        ({"name": ["k"], "public_key": KEY}, "name"),
        ({"name": "k", "public_key": "rubbish"}, "Keypair data is invalid"),
        ({"name": "k", "public_key": "ssh-rsa AAAA"}, "Keypair data is invalid"),
        ({"name": "k", "public_key": 5}, "public_key"),
        ({"name": "k", "public_key": "A" * 20_000}, "public_key"),
        ({"name": "k", "public_key": KEY, "type": "pgp"}, "type"),
        ({"name": "k", "public_key": KEY, "type": "x509"}, "Keypair data is invalid"),
        ({"name": "k", "public_key": KEY, "nonsense": 1}, "nonsense"),
    ],
)
def test_nonsense_is_refused_and_leaves_nothing(alice, keypair, words):
    assert words in refused(alice.post("/os-keypairs", {"keypair": keypair}), 400)
    assert KeyPair.objects.count() == 0


def test_names_with_at_and_dot_came_with_2_92(alice):
    body = {"keypair": {"name": "me@home.net", "public_key": KEY}}
    refused(alice.at("2.91").post("/os-keypairs", body), 400)
    assert alice.post("/os-keypairs", body).status_code == 201
    assert alice.delete("/os-keypairs/me@home.net").status_code == 204


def test_another_user_s_keys_are_an_admin_s_business(alice, bob, admin):
    bob.post("/os-keypairs", {"keypair": {"name": "k", "public_key": KEY}})
    refused(alice.get("/os-keypairs/k"), 404)
    refused(alice.delete("/os-keypairs/k"), 404)
    for answer in (
        alice.get(f"/os-keypairs?user_id={bob.user_id}"),
        alice.get(f"/os-keypairs/k?user_id={bob.user_id}"),
        alice.delete(f"/os-keypairs/k?user_id={bob.user_id}"),
        alice.post("/os-keypairs", {"keypair": {"name": "k", "public_key": KEY, "user_id": bob.user_id}}),
    ):
        refused(answer, 403)
    assert len(admin.get(f"/os-keypairs?user_id={bob.user_id}").json()["keypairs"]) == 1
    assert alice.at("2.9").get(f"/os-keypairs?user_id={bob.user_id}").json()["keypairs"] == []
    assert admin.delete(f"/os-keypairs/k?user_id={bob.user_id}").status_code == 204


def test_a_key_pair_that_does_not_exist_is_not_found(alice):
    assert refused(alice.get("/os-keypairs/k"), 404) == f"Keypair k not found for user {alice.user_id}"
    refused(alice.delete("/os-keypairs/k"), 404)


def test_a_user_may_have_so_many(alice):
    KeyPair.objects.bulk_create(
        KeyPair(user_id=alice.user_id, name=f"k{number}", public_key="x", fingerprint="x")
        for number in range(100)
    )
    answer = alice.post("/os-keypairs", {"keypair": {"name": "k", "public_key": KEY}})
    assert refused(answer, 403) == "Quota exceeded, too many key pairs."


def test_lists_are_paged_since_2_35(alice):
    for name in "cab":
        KeyPair.objects.create(user_id=alice.user_id, name=name, public_key="x", fingerprint="x")
    answer = alice.get("/os-keypairs?limit=2").json()
    assert [one["keypair"]["name"] for one in answer["keypairs"]] == ["a", "b"]
    assert "marker=b" in answer["keypairs_links"][0]["href"]
    assert [one["keypair"]["name"] for one in alice.get("/os-keypairs?marker=b").json()["keypairs"]] == ["c"]
    refused(alice.get("/os-keypairs?marker=nope"), 400)
    assert len(alice.at("2.34").get("/os-keypairs?limit=2").json()["keypairs"]) == 3
