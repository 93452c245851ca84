"""OpenStack's tree: the documents of one guest by version and name.

Source of the forms: the metadata formats of OpenStack Compute. A version has what came with it or before it.
"""

import base64
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import orjson

from instances.metadata.facts import Told
from networking.facts import FixedIp, PortFacts

SINCE_SEED = SINCE_POSTED = "2013-04-04"
SINCE_VENDOR_DATA = "2013-10-17"
SINCE_NETWORK_DATA = SINCE_PROJECT = "2015-10-15"
SINCE_DEVICES = "2016-06-30"
SINCE_VENDOR_DATA2 = "2016-10-06"
SINCE_DEDICATED_CPUS = "2020-10-14"
VERSIONS = (
    "2012-08-10",
    SINCE_SEED,
    SINCE_VENDOR_DATA,
    SINCE_NETWORK_DATA,
    SINCE_DEVICES,
    SINCE_VENDOR_DATA2,
    "2017-02-22",
    "2018-08-27",
    SINCE_DEDICATED_CPUS,
    "2025-04-04",
)
LATEST = "latest"
PASSWORD = "password"  # noqa: S105 — the name of a document that the guest itself writes; it is not among these
JSON, BYTES = "application/json", "application/octet-stream"


def numbered(version: str) -> str | None:
    """Return the version that is meant; None where there is no such one."""
    return VERSIONS[-1] if version == LATEST else version if version in VERSIONS else None


def names(told: Told, version: str) -> list[str]:
    """Return the names of what a version has for this guest, in the order in which they came."""
    came = {
        "meta_data.json": "",
        "user_data": "" if told.user_data is not None else "9999",
        PASSWORD: SINCE_POSTED,
        "vendor_data.json": SINCE_VENDOR_DATA,
        "network_data.json": SINCE_NETWORK_DATA,
        "vendor_data2.json": SINCE_VENDOR_DATA2,
    }
    return [name for name, since in came.items() if version >= since]


def document(told: Told, version: str, name: str) -> tuple[bytes, str]:
    """Return the content and media type of one of the names but the password."""
    if name == "user_data":
        return told.user_data or b"", BYTES
    makers: dict[str, Callable[[], dict[str, Any]]] = {
        "meta_data.json": lambda: meta_data(told, version),
        "network_data.json": lambda: network_data(told.ports),
        "vendor_data.json": lambda: told.vendor_data,
        "vendor_data2.json": lambda: {"static": told.vendor_data},
    }
    return orjson.dumps(makers[name]()), JSON


def meta_data(told: Told, version: str) -> dict[str, Any]:
    """Return the content of meta_data.json."""
    meta: dict[str, Any] = {
        "uuid": str(told.instance_id),
        "name": told.name,
        "hostname": told.hostname,
        "launch_index": told.launch_index,
        "availability_zone": told.zone,
        "meta": told.metadata,
    }
    if key := told.key:
        meta["public_keys"] = {key.name: key.public_key}
        meta["keys"] = [{"name": key.name, "type": key.type, "data": key.public_key}]
    if told.admin_pass:
        meta["admin_pass"] = told.admin_pass
    if version >= SINCE_SEED:
        meta["random_seed"] = base64.b64encode(told.random_seed).decode()
    if version >= SINCE_PROJECT:
        meta["project_id"] = told.project_id
    if version >= SINCE_DEVICES:
        meta["devices"] = [_device(port) for port in told.ports if port.tag]
    if version >= SINCE_DEDICATED_CPUS:
        meta["dedicated_cpus"] = []
    return meta


def _device(port: PortFacts) -> dict[str, Any]:
    """Return a tagged network card; the hypervisor chooses where it is plugged, so its card address tells it."""
    return {"type": "nic", "bus": "pci", "address": "none", "mac": port.mac, "tags": [port.tag]}


def network_data(ports: list[PortFacts]) -> dict[str, Any]:
    """Return the content of network_data.json: every address static, as a guest without DHCP needs it."""
    links, networks = [], []
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
    servers = dict.fromkeys(server for port in ports for server in port.dns)
    return {"links": links, "networks": networks, "services": [_dns(server) for server in servers]}


def _network(name: str, link: str, port: PortFacts, address: FixedIp) -> dict[str, Any]:
    network = ip_network(address.cidr)
    any_address = "0.0.0.0" if address.version == 4 else "::"  # noqa: S104 — the default route
    routes = [_route(route["destination"], route["nexthop"]) for route in _of_subnet(port, address)]
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
        "services": [_dns(server) for server in port.dns if (":" in server) == (address.version == 6)],
    }


def _of_subnet(port: PortFacts, address: FixedIp) -> list[dict[str, str]]:
    """Return the routes of the subnet that an address is of; a guest takes those of another by that one's address."""
    return next((s.routes for s in port.network.subnets if s.id == address.subnet_id), [])


def _dns(server: str) -> dict[str, str]:
    return {"type": "dns", "address": server}


def _route(destination: str, nexthop: str) -> dict[str, str]:
    network = ip_network(destination)
    return {"network": str(network.network_address), "netmask": str(network.netmask), "gateway": nexthop}
