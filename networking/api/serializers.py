"""What bodies of the Network API may hold."""

from typing import Any

from rest_framework.serializers import ListField

from computecloud.wire import fields
from computecloud.wire.errors import InvalidInput
from computecloud.wire.serializers import StrictSerializer

MAC = r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}"
IPV6_MODES = ["slaac", "dhcpv6-stateful", "dhcpv6-stateless", None]
MTU_MIN, MTU_MAX = 68, 9_216


def _text() -> fields.Text:
    return fields.Text(required=False)


class Owned(StrictSerializer):
    """What every new thing may say of itself; tenant_id is the old name of project_id."""

    name = _text()
    description = _text()
    project_id = fields.Identifier(required=False)
    tenant_id = fields.Identifier(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes with one name for the project; raises InvalidInput where two contradict."""
        tenant_id = attrs.pop("tenant_id", None)
        if tenant_id is not None and attrs.setdefault("project_id", tenant_id) != tenant_id:
            raise InvalidInput("'project_id' and 'tenant_id' do not match.")
        return attrs


class NetworkUpdate(StrictSerializer):
    """Changes of a network."""

    keys = {"external": "router:external"}
    name = _text()
    description = _text()
    admin_state_up = fields.Boolean(required=False)
    shared = fields.Boolean(required=False)


class NetworkCreate(Owned):
    """A new network."""

    keys = {"external": "router:external"}
    admin_state_up = fields.Boolean(required=False)
    shared = fields.Boolean(required=False)
    external = fields.Boolean(required=False)
    mtu = fields.Integer(required=False, min_value=MTU_MIN, max_value=MTU_MAX)


class AllocationPool(StrictSerializer):
    """A range of addresses."""

    start = fields.Address()
    end = fields.Address()


class HostRoute(StrictSerializer):
    """A route that guests are told."""

    destination = fields.Text(max_length=43)
    nexthop = fields.Address()


class _SubnetFields(StrictSerializer):
    """What a new subnet and changes of one have in common."""

    keys = {"pools": "allocation_pools"}
    gateway_ip = fields.Address(required=False, allow_null=True)
    enable_dhcp = fields.Boolean(required=False)
    pools = AllocationPool(many=True, required=False, max_length=64)  # type: ignore[call-arg]
    dns_nameservers = ListField(child=fields.Address(), required=False, max_length=5)
    host_routes = HostRoute(many=True, required=False, max_length=20)  # type: ignore[call-arg]


class SubnetUpdate(_SubnetFields):
    """Changes of a subnet."""

    name = _text()
    description = _text()


class SubnetCreate(_SubnetFields, Owned):
    """A new subnet."""

    network_id = fields.Uuid()
    cidr = fields.Text(max_length=43)
    ip_version = fields.Integer(required=False, default=4)
    ipv6_ra_mode = fields.Choice(IPV6_MODES, required=False, allow_null=True)
    ipv6_address_mode = fields.Choice(IPV6_MODES, required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes; raises InvalidInput for an IP version that there is not."""
        checked = super().validate(attrs)
        if checked["ip_version"] not in (4, 6):
            raise InvalidInput(
                f"Invalid input for ip_version. Reason: '{checked['ip_version']}' is not in [4, 6]."
            )
        if checked["ip_version"] == 4 and (checked.get("ipv6_ra_mode") or checked.get("ipv6_address_mode")):
            raise InvalidInput("ipv6_ra_mode and ipv6_address_mode are for subnets of ip_version 6.")
        return checked


class WantedAddress(StrictSerializer):
    """An address of a port: this one, or any of a subnet."""

    keys = {"address": "ip_address"}
    subnet_id = fields.Uuid(required=False)
    address = fields.Address(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the wish; raises InvalidInput where it says nothing."""
        if not attrs:
            raise InvalidInput(
                "Invalid input for fixed_ips. Reason: an item needs a subnet_id or an ip_address."
            )
        return attrs


class PortUpdate(StrictSerializer):
    """Changes of a port."""

    keys = {"mac": "mac_address"}
    name = _text()
    description = _text()
    admin_state_up = fields.Boolean(required=False)
    device_id = _text()
    device_owner = _text()
    mac = fields.Text(required=False, max_length=17, pattern=MAC)
    fixed_ips = WantedAddress(many=True, required=False, max_length=16)  # type: ignore[call-arg]
    security_groups = ListField(child=fields.Uuid(), required=False, max_length=5)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes; raises InvalidInput for a hardware address that no card may have."""
        checked: dict[str, Any] = super().validate(attrs)
        if "mac" in checked:
            checked["mac"] = checked["mac"].lower()
            if int(checked["mac"][:2], 16) & 1 or checked["mac"] == "00:00:00:00:00:00":
                raise InvalidInput(
                    f"Invalid input for mac_address. Reason: '{checked['mac']}' is not a card's address."
                )
        return checked


class PortCreate(PortUpdate, Owned):
    """A new port."""

    keys = {"mac": "mac_address", "vnic_type": "binding:vnic_type"}
    network_id = fields.Uuid()
    vnic_type = fields.Choice(["normal"], required=False)
