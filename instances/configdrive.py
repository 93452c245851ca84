"""What a guest learns of itself: the files of its config drive, in OpenStack's tree.

Source of the forms: the metadata formats of OpenStack Compute (meta_data.json, network_data.json) and EC2's meta-data.
"""

import base64
import hashlib
from ipaddress import ip_interface, ip_network
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings

from networking.facts import FixedIp, PortFacts

VERSIONS = ("2018-08-27", "latest")
EC2_VERSIONS = ("2009-04-04", "latest")


def files(
    instance_id: UUID, params: dict[str, Any], ports: list[PortFacts], *, zone: str, admin_pass: str | None
) -> dict[str, bytes]:
    """Return path in the drive to content."""
    meta = orjson.dumps(meta_data(instance_id, params, zone=zone, admin_pass=admin_pass))
    network = orjson.dumps(network_data(ports))
    user_data = base64.b64decode(params["user_data"]) if params.get("user_data") else None
    tree: dict[str, bytes] = {}
    for version in VERSIONS:
        folder = f"openstack/{version}"
        tree[f"{folder}/meta_data.json"] = meta
        tree[f"{folder}/network_data.json"] = network
        tree[f"{folder}/vendor_data.json"] = b"{}"
        tree[f"{folder}/vendor_data2.json"] = b"{}"
        if user_data is not None:
            tree[f"{folder}/user_data"] = user_data
    ec2 = orjson.dumps(_ec2(instance_id, params, ports, zone))
    for version in EC2_VERSIONS:
        tree[f"ec2/{version}/meta-data.json"] = ec2
        if user_data is not None:
            tree[f"ec2/{version}/user-data"] = user_data
    return tree


def meta_data(
    instance_id: UUID, params: dict[str, Any], *, zone: str, admin_pass: str | None
) -> dict[str, Any]:
    """Return the content of meta_data.json."""
    meta: dict[str, Any] = {
        "uuid": str(instance_id),
        "name": params["name"],
        "hostname": params["hostname"],
        "launch_index": params["launch_index"],
        "availability_zone": zone,
        "project_id": params["project_id"],
        "meta": params["metadata"],
        "devices": [],
        "random_seed": base64.b64encode(_seed(instance_id)).decode(),
    }
    if key := params.get("key"):
        meta["public_keys"] = {key["name"]: key["public_key"]}
        meta["keys"] = [{"name": key["name"], "type": key["type"], "data": key["public_key"]}]
    if admin_pass:
        meta["admin_pass"] = admin_pass
    return meta


def network_data(ports: list[PortFacts]) -> dict[str, Any]:
    """Return the content of network_data.json: every address static, as a guest without DHCP needs it."""
    links, networks, services = [], [], []
    for number, port in enumerate(ports):
        link = f"tap{port.port_id[:11]}"
        links.append(
            {
                "id": link,
                "vif_id": port.port_id,
                "type": "bridge",
                "mtu": port.mtu,
                "ethernet_mac_address": port.mac,
            }
        )
        for index, address in enumerate(port.fixed_ips):
            networks.append(_network(f"network{number}-{index}", link, port, address))
        services += [{"type": "dns", "address": server} for server in port.dns]
    return {"links": links, "networks": networks, "services": services}


def _network(name: str, link: str, port: PortFacts, address: FixedIp) -> dict[str, Any]:
    network = ip_network(address.cidr)
    any_address = "0.0.0.0" if address.version == 4 else "::"  # noqa: S104 — the default route
    routes = [_route(route["destination"], route["nexthop"]) for route in port.routes]
    if address.gateway:
        routes.insert(0, {"network": any_address, "netmask": any_address, "gateway": address.gateway})
    return {
        "id": name,
        "link": link,
        "type": "ipv4" if address.version == 4 else "ipv6",
        "ip_address": address.address,
        "netmask": str(network.netmask),
        "network_id": port.network_id,
        "routes": routes,
        "services": [{"type": "dns", "address": server} for server in port.dns],
    }


def _route(destination: str, nexthop: str) -> dict[str, str]:
    network = ip_network(destination)
    return {"network": str(network.network_address), "netmask": str(network.netmask), "gateway": nexthop}


def _ec2(instance_id: UUID, params: dict[str, Any], ports: list[PortFacts], zone: str) -> dict[str, Any]:
    addresses = [address.address for port in ports for address in port.fixed_ips if address.version == 4]
    meta: dict[str, Any] = {
        "instance-id": str(instance_id),
        "hostname": params["hostname"],
        "local-hostname": params["hostname"],
        "local-ipv4": str(ip_interface(addresses[0]).ip) if addresses else "",
        "placement": {"availability-zone": zone},
        "ami-launch-index": params["launch_index"],
        "instance-type": params["flavor"]["name"],
    }
    if key := params.get("key"):
        meta["public-keys"] = {"0": {"openssh-key": key["public_key"]}}
    return meta


def _seed(instance_id: UUID) -> bytes:
    """Return 512 bytes for the guest's entropy pool: secret, and the same at each attempt, so the drive converges."""
    return hashlib.shake_256(settings.SECRET_KEY.encode() + instance_id.bytes).digest(512)
