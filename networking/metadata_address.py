"""Where guests reach the metadata service, and how a subnet tells them the way there.

The address is one of each network's namespace on each host. Where the subnet's gateway is in the namespace too, guests
get there by their default route; elsewhere they are told a route by way of the subnet's DHCP server, which always is.
"""

from collections.abc import Sequence

ADDRESS = "169.254.169.254"
PORT = 80
DESTINATION = f"{ADDRESS}/32"

Route = dict[str, str]


def routes(told: Sequence[Route], *, dhcp_address: str | None, gateway_in_namespace: bool) -> list[Route]:
    """Return the routes {destination, nexthop} that guests of a subnet are told, beside those that its owner wants.

    A route of the owner's own to the address stays, and without DHCP there is nothing in the subnet to go by.
    """
    own = list(told)
    if gateway_in_namespace or not dhcp_address or any(r["destination"] == DESTINATION for r in own):
        return own
    return [*own, {"destination": DESTINATION, "nexthop": dhcp_address}]
