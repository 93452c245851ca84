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


class PortBound(Conflict):
    """A server's card keeps its hardware address."""

    def __init__(self, port_id: Any) -> None:
        super().__init__(
            f"Unable to complete operation on port {port_id}, port is already bound, so its mac address can not change."
        )


class AllocationOnAutoAddressSubnet(InvalidInput):
    """On such a subnet a port's address follows from its hardware address."""

    def __init__(self, address: Any, subnet_id: Any) -> None:
        super().__init__(
            f"IPv6 address {address} cannot be directly assigned to a port on subnet {subnet_id} as the "
            "subnet is configured for automatic addresses"
        )


class AddressPairAndPortSecurityRequired(Conflict):
    """Pairs are exceptions from what port security forbids."""

    def __init__(self) -> None:
        super().__init__("Port Security must be enabled in order to have allowed address pairs on a port.")


class AllowedAddressPairExhausted(InvalidInput):
    """A port may have few pairs."""

    def __init__(self, most: int) -> None:
        super().__init__(f"The number of allowed address pair exceeds the maximum {most}.")


class DuplicateAddressPairInRequest(InvalidInput):
    """A pair is listed twice."""

    def __init__(self, mac: str, address: str) -> None:
        super().__init__(f"Request contains duplicate address pair: mac_address {mac} ip_address {address}.")


class PortSecurityPortHasSecurityGroup(Conflict):
    """Port security goes only when the port's groups are gone."""

    def __init__(self) -> None:
        super().__init__(
            "Port has security group associated. Cannot disable port security or ip address until security group "
            "is removed"
        )


class PortSecurityAndIPRequiredForSecurityGroups(InvalidInput):
    """Groups mean nothing on a port where everything passes."""

    def __init__(self) -> None:
        super().__init__(
            "Port security must be enabled and port must have an IP address in order to use security groups."
        )


class SecurityGroupNotFound(NotFound):
    """No such security group, or not for this caller."""

    def __init__(self, group_id: Any) -> None:
        super().__init__(f"Security group {group_id} does not exist")


class SecurityGroupRuleNotFound(NotFound):
    """No such rule, or not for this caller."""

    def __init__(self, rule_id: Any) -> None:
        super().__init__(f"Security group rule {rule_id} does not exist")


class SecurityGroupInUse(Conflict):
    """Ports have the group."""

    def __init__(self, group_id: Any) -> None:
        super().__init__(f"Security Group {group_id} in use.")


class SecurityGroupCannotRemoveDefault(Conflict):
    """A project keeps its default group."""

    def __init__(self) -> None:
        super().__init__("Insufficient rights for removing default security group.")


class SecurityGroupCannotUpdateDefault(Conflict):
    """The default group keeps its name."""

    def __init__(self) -> None:
        super().__init__("Updating default security group not allowed.")


class SecurityGroupDefaultAlreadyExists(Conflict):
    """Only one group of a project is called default."""

    def __init__(self) -> None:
        super().__init__("Default security group already exists.")


class SecurityGroupRuleExists(Conflict):
    """The group says the same already."""

    def __init__(self, rule_id: Any) -> None:
        super().__init__(f"Security group rule already exists. Rule id is {rule_id}.")


class SecurityGroupRuleInvalidProtocol(InvalidInput):
    """There is no such protocol."""

    def __init__(self, protocol: Any, names: list[str]) -> None:
        super().__init__(
            f"Security group rule protocol {protocol} not supported. Only protocol values {names} and integer "
            "representations [0 to 255] are supported."
        )


class SecurityGroupRuleInvalidEtherType(InvalidInput):
    """There are two."""

    def __init__(self, ethertype: str) -> None:
        super().__init__(
            f"Security group rule for ethertype '{ethertype}' not supported. Allowed values are ['IPv4', 'IPv6']."
        )


class SecurityGroupEthertypeConflictWithProtocol(InvalidInput):
    """The protocol is one of IPv6 alone."""

    def __init__(self, ethertype: str, protocol: str) -> None:
        super().__init__(f"Invalid ethertype {ethertype} for protocol {protocol}.")


class SecurityGroupProtocolRequiredWithPorts(InvalidInput):
    """Ports are of a protocol."""

    def __init__(self) -> None:
        super().__init__("Must also specify protocol if port range is given.")


class SecurityGroupInvalidProtocolForPortRange(InvalidInput):
    """The protocol knows no ports."""

    def __init__(self, protocol: str) -> None:
        super().__init__(
            f"Invalid protocol {protocol} for port range, only supported for TCP, UDP, UDPLITE, SCTP and DCCP."
        )


class SecurityGroupInvalidPortRange(InvalidInput):
    """The range ends before it starts, or has one end only."""

    def __init__(self) -> None:
        super().__init__("For TCP/UDP protocols, port_range_min must be <= port_range_max")


class SecurityGroupInvalidPortValue(InvalidInput):
    """There is no such port."""

    def __init__(self, port: Any) -> None:
        super().__init__(f"Invalid value for port {port}")


class SecurityGroupInvalidIcmpValue(InvalidInput):
    """There is no such type or code."""

    def __init__(self, field: str, attribute: str, value: Any) -> None:
        super().__init__(f"Invalid value for ICMP {field} ({attribute}) {value}. It must be 0 to 255.")


class SecurityGroupMissingIcmpType(InvalidInput):
    """A code means nothing without a type."""

    def __init__(self, value: Any) -> None:
        super().__init__(
            f"ICMP code (port-range-max) {value} is provided but ICMP type (port-range-min) is missing."
        )


class SecurityGroupRemoteGroupAndRemoteIpPrefix(InvalidInput):
    """A rule has one remote side."""

    def __init__(self) -> None:
        super().__init__("Only remote_ip_prefix or remote_group_id may be provided.")


class SecurityGroupRuleParameterConflict(InvalidInput):
    """The range is of the other IP version."""

    def __init__(self, ethertype: str, cidr: str) -> None:
        super().__init__(f"Conflicting value ethertype {ethertype} for CIDR {cidr}")


class InvalidCIDR(InvalidInput):
    """The range is none."""

    def __init__(self, text: str) -> None:
        super().__init__(f"Invalid CIDR {text[:64]} given as IP prefix.")


class SecurityGroupNotSingleGroupRules(InvalidInput):
    """Rules made together are of one group."""

    def __init__(self) -> None:
        super().__init__("Only allowed to update rules for one security profile at a time")


class RbacPolicyNotFound(NotFound):
    """No such policy, or not for this caller."""

    def __init__(self, policy_id: Any) -> None:
        super().__init__(f"RBAC policy of type RbacPolicy with ID {policy_id} not found")


class DuplicateRbacPolicy(Conflict):
    """The thing is shared so already."""

    def __init__(self) -> None:
        super().__init__("An RBAC policy already exists with those values.")


class RbacPolicyInUse(Conflict):
    """The other side uses what it was given."""

    def __init__(self, object_id: Any, why: str) -> None:
        super().__init__(
            f"RBAC policy on object {object_id} cannot be removed because other objects depend on it. Details: {why}"
        )


class TagNotFound(NotFound):
    """The thing has no such tag."""

    def __init__(self, tag: str) -> None:
        super().__init__(f"Tag {tag[:64]} could not be found.")
