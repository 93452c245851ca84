"""The addresses of a server in the Compute API's form, from the facts of its ports."""

from collections.abc import Iterable
from typing import Any


def of_ports(ports: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return {network name: [{addr, version, OS-EXT-IPS:type, OS-EXT-IPS-MAC:mac_addr}]}."""
    shown: dict[str, list[dict[str, Any]]] = {}
    for port in ports:
        for address in port["fixed_ips"]:
            shown.setdefault(port["network_name"], []).append(
                {
                    "addr": address["address"],
                    "version": address["version"],
                    "OS-EXT-IPS:type": "fixed",
                    "OS-EXT-IPS-MAC:mac_addr": port["mac"],
                }
            )
    return shown
