"""What the Network API refuses, by the names that its clients know; addressing.py has those about ranges and pools."""

from typing import Any

from computecloud.wire.errors import Conflict, Forbidden, InvalidInput, NotFound


class NetworkNotFound(NotFound):
    """No such network, or not for this caller."""

    def __init__(self, network_id: Any) -> None:
        super().__init__(f"Network {network_id} could not be found.")


class SubnetNotFound(NotFound):
    """No such subnet, or not for this caller."""

    def __init__(self, subnet_id: Any) -> None:
        super().__init__(f"Subnet {subnet_id} could not be found.")


class PortNotFound(NotFound):
    """No such port, or not for this caller."""

    def __init__(self, port_id: Any) -> None:
        super().__init__(f"Port {port_id} could not be found.")


class PolicyNotAuthorized(Forbidden):
    """The caller sees the thing and may not do this to it."""

    def __init__(self, action: str) -> None:
        super().__init__(
            f"rule:{action} is disallowed by policy; ask the owner of the network or an administrator."
        )


class NetworkInUse(Conflict):
    """Ports are left on the network."""

    def __init__(self, network_id: Any) -> None:
        super().__init__(
            f"Unable to complete operation on network {network_id}. "
            "There are one or more ports still in use on the network."
        )


class SubnetInUse(Conflict):
    """Ports have addresses of the subnet."""

    def __init__(self, subnet_id: Any) -> None:
        super().__init__(
            f"Unable to complete operation on subnet {subnet_id}: "
            "One or more ports have an IP allocation from this subnet."
        )


class InvalidSharedSetting(Conflict):
    """Other projects have ports on a network that is to be theirs no longer."""

    def __init__(self, network_id: Any) -> None:
        super().__init__(
            f"Unable to reconfigure sharing settings for network {network_id}. Multiple tenants are using it."
        )


class SubnetOverlaps(InvalidInput):
    """The range is in use on the network already, or by another external network of the same hosts."""


class IpAddressInUse(Conflict):
    """Another port, or the gateway, has the address."""

    def __init__(self, network_id: Any, address: Any) -> None:
        super().__init__(
            f"Unable to complete operation for network {network_id}. The IP address {address} is in use."
        )


class MacAddressInUse(Conflict):
    """Another port of the network has the hardware address."""

    def __init__(self, network_id: Any, mac: str) -> None:
        super().__init__(
            f"Unable to complete operation for network {network_id}. The mac address {mac} is in use."
        )


class IpAddressGenerationFailure(Conflict):
    """The network's pools are empty."""

    def __init__(self, network_id: Any) -> None:
        super().__init__(
            f"No more IP addresses available on network {network_id}; delete ports, or add a subnet."
        )


class InvalidIpForNetwork(InvalidInput):
    """The address is in no subnet of the network."""

    def __init__(self, address: Any) -> None:
        super().__init__(
            f"IP address {address} is not a valid IP for any of the subnets on the specified network."
        )


class PortInUse(Conflict):
    """The port belongs to another server."""

    def __init__(self, port_id: Any) -> None:
        super().__init__(f"Port {port_id} is still in use.")


class ServicePortInUse(Conflict):
    """What holds the port must let go of it first."""

    def __init__(self, port_id: Any, reason: str) -> None:
        super().__init__(f"Port {port_id} cannot be changed or deleted directly via the port API: {reason}.")


class OverQuota(Conflict):
    """The project has as many of these as it may have."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"Quota exceeded for resources: ['{resource}'].")


class NetworkAmbiguous(Conflict):
    """The request names no network and there are several."""

    def __init__(self) -> None:
        super().__init__("Multiple possible networks found, use a Network ID to be more specific.")
