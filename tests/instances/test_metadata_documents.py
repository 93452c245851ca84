"""What a guest is told: the trees of OpenStack and EC2 at each version, and the config drive made of the same."""

import base64
import json
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from instances.metadata import drive, ec2, openstack, vendor
from instances.metadata.facts import Key, Told, of_boot
from networking.facts import FixedIp, NetworkFacts, PortFacts, SubnetFacts

KEY = Key("mine", "ssh", "ssh-ed25519 AAAA me")
V4 = SubnetFacts(
    "v4",
    4,
    "10.0.0.0/24",
    "10.0.0.1",
    "10.0.0.2",
    ["192.0.2.53"],
    [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}],
)
V6 = SubnetFacts("v6", 6, "2001:db8::/64", "2001:db8::1", None, ["2001:db8::53"], [], "slaac")


def port(tag: str = "") -> PortFacts:
    network = NetworkFacts(str(uuid4()), "abc", "b", "v", "n", False, 1442, [V4, V6])
    return PortFacts(
        port_id="0d1e2f30-0000-4000-8000-000000000001",
        network_id=network.id,
        network_name="blue",
        mac="fa:00:00:00:00:01",
        fixed_ips=[
            FixedIp("10.0.0.7", "v4", 4, V4.cidr, V4.gateway),
            FixedIp("2001:db8::7", "v6", 6, V6.cidr, V6.gateway),
        ],
        tap="t",
        bridge="b",
        mtu=1442,
        made_by_us=True,
        dns=["192.0.2.53", "2001:db8::53"],
        network=network,
        tag=tag,
    )


@pytest.fixture
def told() -> Told:
    return Told(
        instance_id=UUID("7e57c0de-0000-4000-8000-000000000000"),
        guest_name="instance-0000002a",
        name="Web 1",
        hostname="web-1",
        project_id="blue-project",
        reservation_id="r-12345678",
        launch_index=1,
        zone="west",
        flavor="m1.nano",
        image_id="abcdef01-2345-4000-8000-000000000000",
        random_seed=b"x" * 512,
        metadata={"role": "web"},
        ports=[port("front")],
        security_groups=["default", "web"],
        disks={"root": "vda", "ephemeral0": "vdb", "swap": "vdc"},
        vendor_data={"support": "call us"},
        key=KEY,
        user_data=b"#!/bin/sh\n\xff",
    )


def at(told: Told, version: str, name: str = "meta_data.json"):
    return json.loads(openstack.document(told, version, name)[0])


def test_meta_data_says_who_the_guest_is(told):
    assert at(told, "2025-04-04") == {
        "uuid": "7e57c0de-0000-4000-8000-000000000000",
        "name": "Web 1",
        "hostname": "web-1",
        "launch_index": 1,
        "availability_zone": "west",
        "meta": {"role": "web"},
        "public_keys": {"mine": KEY.public_key},
        "keys": [{"name": "mine", "type": "ssh", "data": KEY.public_key}],
        "random_seed": base64.b64encode(b"x" * 512).decode(),
        "project_id": "blue-project",
        "devices": [
            {"type": "nic", "bus": "pci", "address": "none", "mac": "fa:00:00:00:00:01", "tags": ["front"]}
        ],
        "dedicated_cpus": [],
    }


@pytest.mark.parametrize(
    ("key", "since"),
    [
        ("uuid", "2012-08-10"),
        ("random_seed", "2013-04-04"),
        ("project_id", "2015-10-15"),
        ("devices", "2016-06-30"),
        ("dedicated_cpus", "2020-10-14"),
    ],
)
def test_a_key_of_meta_data_comes_with_its_version(told, key, since):
    has = [version for version in openstack.VERSIONS if key in at(told, version)]
    assert has == [version for version in openstack.VERSIONS if version >= since]


@pytest.mark.parametrize(
    ("name", "since"),
    [
        ("meta_data.json", "2012-08-10"),
        ("user_data", "2012-08-10"),
        ("password", "2013-04-04"),
        ("vendor_data.json", "2013-10-17"),
        ("network_data.json", "2015-10-15"),
        ("vendor_data2.json", "2016-10-06"),
    ],
)
def test_a_document_comes_with_its_version(told, name, since):
    has = [version for version in openstack.VERSIONS if name in openstack.names(told, version)]
    assert has == [version for version in openstack.VERSIONS if version >= since]


def test_without_key_user_data_and_tags_there_is_none_of_them(told):
    bare = replace(told, key=None, user_data=None, ports=[port()])
    assert "user_data" not in openstack.names(bare, "2025-04-04")
    assert not {"keys", "public_keys", "admin_pass"} & at(bare, "2025-04-04").keys()
    assert at(bare, "2025-04-04")["devices"] == []


def test_network_data_has_links_networks_and_services_of_both_ip_versions(told):
    told = replace(told, ports=[*told.ports, port()])
    found = at(told, "2018-08-27", "network_data.json")
    assert found["links"][0] == {
        "id": "tap0d1e2f30-00",
        "vif_id": "0d1e2f30-0000-4000-8000-000000000001",
        "type": "bridge",
        "mtu": 1442,
        "ethernet_mac_address": "fa:00:00:00:00:01",
    }
    four, six = found["networks"][:2]
    assert four == {
        "id": "network0-0",
        "link": "tap0d1e2f30-00",
        "type": "ipv4",
        "ip_address": "10.0.0.7",
        "netmask": "255.255.255.0",
        "network_id": told.ports[0].network_id,
        "routes": [
            {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"},
            {"network": "10.9.0.0", "netmask": "255.255.0.0", "gateway": "10.0.0.9"},
        ],
        "services": [{"type": "dns", "address": "192.0.2.53"}],
    }
    assert (six["type"], six["ip_address"], six["netmask"]) == (
        "ipv6",
        "2001:db8::7",
        "ffff:ffff:ffff:ffff::",
    )
    assert six["routes"] == [{"network": "::", "netmask": "::", "gateway": "2001:db8::1"}]
    assert six["services"] == [{"type": "dns", "address": "2001:db8::53"}]
    assert [service["address"] for service in found["services"]] == ["192.0.2.53", "2001:db8::53"]


def test_vendor_data_is_the_operators_and_static_in_the_second_form(told):
    assert at(told, "2016-10-06", "vendor_data.json") == {"support": "call us"}
    assert at(told, "2016-10-06", "vendor_data2.json") == {"static": {"support": "call us"}}


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff", None])
def test_a_vendor_data_file_that_holds_no_object_is_as_if_there_were_none(tmp_path, content):
    path = tmp_path / "vendor.json"
    if content is not None:
        path.write_bytes(content)
    assert vendor.read(str(path)) == {}


def test_vendor_data_is_read_from_its_file(tmp_path):
    (tmp_path / "vendor.json").write_text('{"a": {"b": 1}}')
    assert vendor.read(str(tmp_path / "vendor.json")) == {"a": {"b": 1}}


def test_ec2_says_all_its_keys_at_its_last_version(told):
    assert ec2.meta_data(told, "2009-04-04") == {
        "ami-id": "ami-abcdef01",
        "ami-launch-index": "1",
        "ami-manifest-path": "FIXME",
        "ancestor-ami-ids": [],
        "block-device-mapping": {
            "ami": "vda",
            "root": "/dev/vda",
            "ephemeral0": "/dev/vdb",
            "swap": "/dev/vdc",
        },
        "hostname": "web-1",
        "instance-action": "none",
        "instance-id": "i-0000002a",
        "instance-type": "m1.nano",
        "local-hostname": "web-1",
        "local-ipv4": "10.0.0.7",
        "placement": {"availability-zone": "west"},
        "product-codes": [],
        "public-hostname": "web-1",
        "public-ipv4": "",
        "public-keys": {"0": {"_name": "0=mine", "openssh-key": KEY.public_key}},
        "reservation-id": "r-12345678",
        "security-groups": ["default", "web"],
    }


@pytest.mark.parametrize(
    ("key", "since"),
    [
        ("local-ipv4", "1.0"),
        ("public-keys", "2007-01-19"),
        ("product-codes", "2007-03-01"),
        ("instance-type", "2007-08-29"),
        ("ancestor-ami-ids", "2007-10-10"),
        ("block-device-mapping", "2007-12-15"),
        ("kernel-id", "2007-12-15"),
        ("placement", "2008-02-01"),
        ("instance-action", "2008-09-01"),
    ],
)
def test_a_key_of_ec2_comes_with_its_version(told, key, since):
    told = replace(told, kernel_id="12345678-0000-4000-8000-000000000000")
    has = [version for version in ec2.VERSIONS if key in ec2.meta_data(told, version)]
    assert has == list(ec2.VERSIONS[ec2.VERSIONS.index(since) :])


def test_a_config_drive_carries_the_services_documents(told):
    tree = drive.files(told)
    folders = [f"openstack/{version}" for version in ("2018-08-27", "latest")]
    names = {"meta_data.json", "user_data", "vendor_data.json", "network_data.json", "vendor_data2.json"}
    ec2_files = {
        f"ec2/{version}/{name}"
        for version in ("2009-04-04", "latest")
        for name in ("meta-data.json", "user-data")
    }
    assert set(tree) == {f"{folder}/{name}" for folder in folders for name in names} | ec2_files
    for version, number in (("2018-08-27", "2018-08-27"), ("latest", "2025-04-04")):
        for name in names:
            assert tree[f"openstack/{version}/{name}"] == openstack.document(told, number, name)[0]
    assert json.loads(tree["ec2/latest/meta-data.json"]) == ec2.meta_data(told, "2009-04-04")
    assert tree["ec2/2009-04-04/user-data"] == b"#!/bin/sh\n\xff"


def test_the_first_password_is_on_the_config_drive(told):
    tree = drive.files(replace(told, admin_pass="secret"))
    assert json.loads(tree["openstack/latest/meta_data.json"])["admin_pass"] == "secret"


def test_a_boot_says_the_same_at_each_attempt():
    params = {
        "name": "one",
        "guest_name": "instance-00000001",
        "hostname": "one",
        "project_id": "p",
        "reservation_id": "r-1",
        "launch_index": 0,
        "flavor": {"name": "m1.nano", "ephemeral_gib": 1, "swap_mib": 0},
        "image": {"id": str(uuid4()), "properties": {"hw_disk_bus": "scsi"}},
        "security_groups": ["default"],
        "metadata": {},
        "key": {"name": "mine", "type": "ssh", "public_key": "ssh-ed25519 AAAA"},
        "user_data": base64.b64encode(b"hello").decode(),
    }
    instance_id = uuid4()
    told = of_boot(instance_id, params, [port()], zone="nova", admin_pass=None)
    again = of_boot(instance_id, params, told.ports, zone="nova", admin_pass=None)
    assert drive.files(told) == drive.files(again)
    assert told.disks == {"root": "sda", "ephemeral0": "sdb"}
    assert told.user_data == b"hello"
    assert of_boot(uuid4(), params, [], zone="", admin_pass=None).random_seed != told.random_seed
