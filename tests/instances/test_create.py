"""POST /servers: what is written when it is taken, and that nothing is when it is refused."""

import base64
import re
import uuid

import pytest
from msgspec import structs

from computecloud.config import CONFIG
from images.models import Image
from images.states import Status
from instances.api import server_request
from instances.models import Flavor, Instance, InstanceNumber, KeyPair
from quotas import services as quotas
from quotas.models import Charge
from tests.instances.conftest import refused
from workers import secrets
from workers.models import Operation, Secret, Subject


def written():
    return [model.objects.count() for model in (Instance, InstanceNumber, Operation, Subject, Charge, Secret)]


def test_a_server_is_accepted_with_its_operation_and_charge(alice, body):
    answer = alice.post("/servers", body)
    assert answer.status_code == 202, answer.content
    server = answer.json()["server"]
    instance = Instance.objects.get()
    assert server["id"] == str(instance.id)
    assert answer["Location"] == server["links"][0]["href"]
    assert server["OS-DCF:diskConfig"] == "MANUAL"
    assert (instance.vm_state, instance.task_state, instance.host) == ("building", "scheduling", None)
    assert instance.instance_name == f"instance-{instance.number:08x}"
    operation = Operation.objects.get()
    assert (operation.kind, operation.subject_id, operation.request_id) == (
        "create",
        instance.id,
        answer["x-openstack-request-id"],
    )
    assert Charge.objects.get().consumer_id == instance.id


def test_a_server_is_given_a_password_that_only_a_config_drive_reads_that_was_asked_for(alice, body):
    told = alice.post("/servers", body).json()["server"]["adminPass"]
    assert re.fullmatch(r"[a-zA-Z0-9]{12}", told)
    without = Operation.objects.get()
    assert without.params["has_secrets"] is False
    assert not Secret.objects.exists()
    body["server"] |= {"config_drive": True, "max_count": 2}
    shared = alice.post("/servers", body).json()["server"]["adminPass"]
    assert shared != told
    booting = Operation.objects.exclude(id=without.id)
    assert [secrets.read(one.id, one.params) for one in booting] == [{"admin_pass": shared}] * 2
    assert shared not in str([one.params for one in booting])


def test_no_password_is_made_where_it_is_switched_off(alice, body, monkeypatch):
    monkeypatch.setattr(server_request, "CONFIG", structs.replace(CONFIG, instance_password=False))
    assert "adminPass" not in alice.post("/servers", body).json()["server"]
    body["server"]["adminPass"] = "mine"
    assert alice.post("/servers", body).json()["server"]["adminPass"] == "mine"
    assert Secret.objects.count() == 1, (
        "every guest has a config drive here, which tells what the caller chose"
    )


def test_a_boot_s_parameters_hold_all_that_its_steps_need(alice, body, image):
    key = alice.post("/os-keypairs", {"keypair": {"name": "k", "public_key": KEY}}).json()["keypair"]
    user_data = base64.b64encode(b"#!/bin/sh").decode()
    body["server"] |= {
        "key_name": "k",
        "metadata": {"a": "b"},
        "user_data": user_data,
        "tags": ["t"],
        "adminPass": "swordfish",
        "description": "words",
        "hostname": "one.example.org",
        "config_drive": True,
    }
    hints = {"different_host": str(uuid.uuid4()), "kind": ["mine"]}
    body["os:scheduler_hints"] = hints
    answer = alice.post("/servers", body)
    assert answer.status_code == 202, answer.content
    assert answer.json()["server"]["adminPass"] == "swordfish"
    params = Operation.objects.get().params
    assert params["flavor"] == {
        "id": "1",
        "name": "m1.nano",
        "vcpus": 1,
        "ram_mib": 128,
        "disk_gib": 1,
        "ephemeral_gib": 0,
        "swap_mib": 0,
        "extra_specs": {"hw:cpu_policy": "shared"},
    }
    assert params["image"]["id"] == str(image.id)
    assert params["key"] == {"name": "k", "type": "ssh", "public_key": key["public_key"]}
    assert params["user_data"] == user_data
    assert params["nics"] == []
    assert params["hints"] == hints
    assert params["hostname"] == "one.example.org"
    assert "swordfish" not in str(params)
    shown = alice.get(f"/servers/{Instance.objects.get().id}").json()["server"]
    assert shown["scheduler_hints"] == hints
    assert shown["tags"] == ["t"]
    assert shown["config_drive"] == "True"
    assert shown["description"] == "words"
    assert shown["key_name"] == "k"


def test_several_servers_are_numbered_and_share_a_reservation(alice, body):
    body["server"] |= {"min_count": 2, "max_count": 3, "return_reservation_id": True}
    answer = alice.post("/servers", body)
    assert answer.status_code == 202
    made = list(Instance.objects.order_by("launch_index"))
    assert [one.name for one in made] == ["one-1", "one-2", "one-3"]
    assert [one.hostname for one in made] == ["one-1", "one-2", "one-3"]
    assert {one.reservation_id for one in made} == {answer.json()["reservation_id"]}
    assert len({one.number for one in made}) == 3
    assert Charge.objects.count() == 3
    found = alice.get(f"/servers?reservation_id={answer.json()['reservation_id']}").json()["servers"]
    assert len(found) == 3


def test_the_quota_gives_as_many_as_it_has_room_for_from_min_count_on(alice, body):
    quotas.set_limits(alice.project_id, instances=2, cores=20, ram_mib=1_000)
    body["server"] |= {"min_count": 1, "max_count": 5}
    assert alice.post("/servers", body).status_code == 202
    assert Instance.objects.count() == 2


def test_a_quota_below_min_count_refuses_them_all(alice, body):
    quotas.set_limits(alice.project_id, instances=2, cores=20, ram_mib=1_000)
    body["server"] |= {"min_count": 3, "max_count": 5}
    assert "Quota exceeded for instances" in refused(alice.post("/servers", body), 403)
    assert written() == [0] * 6


def test_the_name_of_the_flavor_may_be_its_url_or_a_number(alice, body):
    body["server"]["flavorRef"] = "http://cloud/compute/v2.1/flavors/1"
    assert alice.post("/servers", body).status_code == 202
    body["server"]["flavorRef"] = 1
    assert alice.post("/servers", body).status_code == 202


def test_the_block_device_form_of_an_image_on_local_disk_is_taken(alice, body, image):
    del body["server"]["imageRef"]
    body["server"]["block_device_mapping_v2"] = [
        {
            "source_type": "image",
            "destination_type": "local",
            "boot_index": 0,
            "uuid": str(image.id),
            "delete_on_termination": True,
        }
    ]
    assert alice.post("/servers", body).status_code == 202
    assert Instance.objects.get().image_id == image.id


def test_the_oldest_version_needs_no_networks_and_describes_a_server_by_its_name(alice, body):
    del body["server"]["networks"]
    assert alice.at("2.1").post("/servers", body).status_code == 202
    assert Instance.objects.get().description == "one"


NONSENSE = [
    ({"name": ""}, "name"),
    ({"name": None}, "name"),
    ({"name": "n" * 256}, "too long"),
    ({"name": "a\x00b"}, "NUL"),
    ({"name": 5}, "string"),
    ({"flavorRef": "nope"}, "Flavor nope could not be found."),
    ({"flavorRef": None}, "flavorRef"),
    ({"flavorRef": {"a": 1}}, "flavorRef"),
    ({"imageRef": "nope"}, "imageRef"),
    ({"imageRef": ""}, "imageRef"),
    ({"imageRef": str(uuid.UUID(int=1))}, "Can not find requested image"),
    ({"key_name": "nope"}, "Invalid key_name provided."),
    ({"networks": "maybe"}, "networks"),
    ({"networks": {"uuid": "x"}}, "networks"),
    ({"networks": [{"uuid": "x"}]}, "uuid"),
    ({"networks": [{"nonsense": 1}]}, "nonsense"),
    ({"networks": [{"uuid": str(uuid.UUID(int=2))}]}, "could not be found"),
    ({"networks": [{"port": str(uuid.UUID(int=2))}]}, "could not be found"),
    ({"networks": 7}, "networks"),
    ({"metadata": {"k": 5}}, "metadata"),
    ({"metadata": {"k": "v" * 256}}, "metadata"),
    ({"metadata": []}, "metadata"),
    ({"user_data": "not base64!"}, "user_data"),
    ({"user_data": "A" * 65_536}, "user_data"),
    ({"config_drive": "perhaps"}, "config_drive"),
    ({"min_count": 0}, "min_count"),
    ({"min_count": "many"}, "min_count"),
    ({"min_count": 3, "max_count": 2}, "min_count must be <= max_count"),
    ({"max_count": 10**9}, "max_count"),
    ({"availability_zone": "mars"}, "The requested availability zone is not available"),
    ({"availability_zone": ["nova"]}, "availability_zone"),
    ({"security_groups": [{"name": "strangers"}]}, "Security group strangers not found"),
    ({"security_groups": "default"}, "security_groups"),
    ({"tags": ["a/b"]}, "tags"),
    ({"tags": ["t"] * 51}, "tags"),
    ({"hostname": "-a"}, "hostname"),
    ({"accessIPv4": "::1"}, "accessIPv4"),
    ({"accessIPv6": "10.0.0.1"}, "accessIPv6"),
    ({"accessIPv4": "here"}, "accessIPv4"),
    ({"OS-DCF:diskConfig": "MAYBE"}, "OS-DCF:diskConfig"),
    ({"personality": []}, "personality"),
    ({"nonsense": 1}, "nonsense"),
    ({"block_device_mapping_v2": [{"source_type": "volume", "uuid": str(uuid.UUID(int=3))}]}, "volume"),
    ({"block_device_mapping_v2": [{"source_type": "blank", "destination_type": "volume"}]}, "volume"),
    ({"block_device_mapping_v2": [{"source_type": "image", "uuid": str(uuid.UUID(int=3))}]}, "Boot sequence"),
    ({"block_device_mapping": [{"volume_id": "x"}]}, "volume"),
    ({"trusted_image_certificates": []}, "trusted_image_certificates"),
]


@pytest.mark.parametrize(("change", "words"), NONSENSE, ids=lambda value: str(value)[:48])
def test_nonsense_is_refused_in_words_and_leaves_nothing(alice, body, change, words):
    body["server"] |= change
    assert words in refused(alice.post("/servers", body), 400)
    assert written() == [0] * 6


@pytest.mark.parametrize("key", ["name", "flavorRef", "networks"])
def test_what_must_be_there_must_be_there(alice, body, key):
    del body["server"][key]
    assert key in refused(alice.post("/servers", body), 400)


@pytest.mark.parametrize(
    "raw", ["", "{", "[]", "null", '{"server": []}', '{"server": {}, "more": 1}', '{"a": 1}', "7"]
)
def test_a_malformed_body_is_refused(alice, raw):
    refused(alice.call("POST", "/servers", raw), 400)
    assert written() == [0] * 6


@pytest.mark.parametrize(
    ("version", "change"),
    [
        ("2.18", {"description": "x"}),
        ("2.51", {"tags": ["x"]}),
        ("2.62", {"trusted_image_certificates": ["x"]}),
        ("2.73", {"host": "x"}),
        ("2.89", {"hostname": "x"}),
        ("2.93", {"hostname": "x.y"}),
        ("2.36", {"networks": "none"}),
        ("2.57", {"personality": []}),
    ],
)
def test_a_version_takes_what_it_has_and_nothing_newer(alice, body, version, change):
    if version in {"2.18", "2.36"}:
        del body["server"]["networks"]
    body["server"] |= change
    refused(alice.at(version).post("/servers", body), 400)
    assert written() == [0] * 6


def test_injected_files_are_refused_in_words_where_the_version_has_them(alice, body):
    body["server"]["personality"] = [{"path": "/etc/x", "contents": "eA=="}]
    assert "user_data" in refused(alice.at("2.56").post("/servers", body), 400)


def test_a_server_group_that_is_not_there_is_not_passed_over(alice, body):
    body["os:scheduler_hints"] = {"group": str(uuid.uuid4())}
    assert "Instance group" in refused(alice.post("/servers", body), 400)
    assert not Instance.objects.exists()


def test_too_much_metadata_is_a_matter_of_quota(alice, body):
    body["server"]["metadata"] = {f"k{number}": "v" for number in range(129)}
    assert "128" in refused(alice.post("/servers", body), 403)


def test_a_foreign_private_image_is_not_found(alice, bob, body):
    image = Image.objects.create(
        name="bob's", project_id=bob.project_id, status=Status.ACTIVE, visibility="private", disk_format="raw"
    )
    body["server"]["imageRef"] = str(image.id)
    assert "Can not find requested image" in refused(alice.post("/servers", body), 400)


def test_an_image_that_is_not_active_is_refused(alice, body):
    image = Image.objects.create(
        name="q", project_id=alice.project_id, status=Status.QUEUED, visibility="private"
    )
    body["server"]["imageRef"] = str(image.id)
    assert "active" in refused(alice.post("/servers", body), 400)


def test_a_foreign_private_flavor_is_not_found(alice, body):
    Flavor.objects.create(flavorid="p", name="private", ram=1, disk=1, vcpus=1, is_public=False)
    body["server"]["flavorRef"] = "p"
    assert "could not be found" in refused(alice.post("/servers", body), 400)


def test_another_user_s_key_is_not_found(alice, bob, body):
    KeyPair.objects.create(user_id=bob.user_id, name="k", public_key="x", fingerprint="x")
    body["server"]["key_name"] = "k"
    assert "Invalid key_name provided." in refused(alice.post("/servers", body), 400)


@pytest.mark.parametrize(
    ("least", "words"),
    [
        ({"min_ram_mib": 256}, "memory is too small"),
        ({"min_disk_gib": 2}, "disk"),
        ({"size_bytes": 2 << 30}, "disk"),
    ],
)
def test_an_image_too_big_for_the_flavor_is_refused(alice, body, image, least, words):
    Image.objects.filter(id=image.id).update(**least)
    assert words in refused(alice.post("/servers", body), 400)


def test_a_flavor_without_a_disk_needs_an_admin(alice, admin, body):
    Flavor.objects.create(flavorid="0", name="diskless", ram=128, disk=0, vcpus=1)
    body["server"]["flavorRef"] = "0"
    refused(alice.post("/servers", body), 403)
    assert admin.post("/servers", body).status_code == 202


@pytest.mark.parametrize(
    "change", [{"availability_zone": "nova:h1"}, {"host": "h1"}, {"hypervisor_hostname": "n"}]
)
def test_only_an_admin_names_the_host(alice, body, change):
    body["server"] |= change
    refused(alice.post("/servers", body), 403)
    assert written() == [0] * 6


def test_an_unknown_host_is_refused(admin, body):
    body["server"]["host"] = "nowhere"
    assert "Compute host nowhere could not be found." in refused(admin.post("/servers", body), 400)


def test_a_reader_may_not_create(reader, body):
    assert "os_compute_api:servers:create" in refused(reader.post("/servers", body), 403)


def test_creating_costs_the_same_number_of_queries_however_many_rows_there_are(
    alice, body, server, django_assert_max_num_queries
):
    alice.post("/servers", body)
    with django_assert_max_num_queries(16) as few:
        alice.post("/servers", body)
    for _ in range(20):
        server()
    with django_assert_max_num_queries(len(few)):
        alice.post("/servers", body)


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPk3gLkBbHqxhHqCNmDuF8hQ0oCzgEFY3kUfMRRkqqkT somebody@somewhere"
