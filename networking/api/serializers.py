"""What bodies of the Network API may hold."""

from typing import Any

from rest_framework.serializers import ListField, ValidationError

from computecloud.wire import fields
from computecloud.wire.errors import InvalidInput
from computecloud.wire.serializers import StrictSerializer
from networking.errors import (
    SecurityGroupInvalidPortValue,
    SecurityGroupNotFound,
    SecurityGroupRuleInvalidEtherType,
)

TARGET = r"[*]|[a-zA-Z0-9_-]{1,64}"
MAC = r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}"
IPV6_MODES = ["slaac", "dhcpv6-stateful", "dhcpv6-stateless", None]
MTU_MIN, MTU_MAX = 68, 9_216
GROUPS_MAX = 64
TAG_MAX_CHARS, TAGS_MAX = 60, 50


def _text() -> fields.Text:
    return fields.Text(required=False)


def _limit() -> fields.Integer:
    return fields.Integer(required=False, min_value=-1)


class _Word(fields.StrictField):
    """A short word or a whole number, as text."""

    def to_internal_value(self, data: Any) -> Any:
        """Return its text."""
        if isinstance(data, bool) or not isinstance(data, str | int) or len(str(data)) > 64:
            self.refuse(f"{type(data).__name__} is not a short text or a number")
        return str(data)


class OfProject(StrictSerializer):
    """Whose a new thing is to be; tenant_id is the old name of project_id."""

    project_id = fields.Identifier(required=False)
    tenant_id = fields.Identifier(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes with one name for the project; raises InvalidInput where two contradict."""
        tenant_id = attrs.pop("tenant_id", None)
        if tenant_id is not None and attrs.setdefault("project_id", tenant_id) != tenant_id:
            raise InvalidInput("'project_id' and 'tenant_id' do not match.")
        return attrs


class Owned(OfProject):
    """What every new thing may say of itself."""

    name = _text()
    description = _text()


class NetworkUpdate(StrictSerializer):
    """Changes of a network."""

    keys = {"external": "router:external"}
    name = _text()
    description = _text()
    admin_state_up = fields.Boolean(required=False)
    shared = fields.Boolean(required=False)
    external = fields.Boolean(required=False)
    port_security_enabled = fields.Boolean(required=False)


class NetworkCreate(Owned):
    """A new network."""

    keys = {"external": "router:external"}
    admin_state_up = fields.Boolean(required=False)
    shared = fields.Boolean(required=False)
    external = fields.Boolean(required=False)
    mtu = fields.Integer(required=False, min_value=MTU_MIN, max_value=MTU_MAX)
    port_security_enabled = fields.Boolean(required=False)


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


class AddressPair(StrictSerializer):
    """An address or range that a port may use beside its own, by its own hardware address or another."""

    ip_address = fields.Text(max_length=43)
    mac_address = fields.Text(required=False, max_length=17, pattern=MAC)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the pair; raises InvalidInput for a hardware address that no card may have."""
        checked: dict[str, Any] = super().validate(attrs)
        if "mac_address" in checked:
            checked["mac_address"] = _card(checked["mac_address"])
        return checked


def _card(mac: str) -> str:
    """Return a hardware address in its usual form; raises InvalidInput where no card may have it."""
    lower = mac.lower()
    if int(lower[:2], 16) & 1 or lower == "00:00:00:00:00:00":
        raise InvalidInput(f"Invalid input for mac_address. Reason: '{lower}' is not a card's address.")
    return lower


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
    security_groups = ListField(child=fields.Uuid(), required=False, max_length=GROUPS_MAX, allow_null=True)
    port_security_enabled = fields.Boolean(required=False)
    allowed_address_pairs = AddressPair(many=True, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes; raises InvalidInput for a hardware address that no card may have."""
        checked: dict[str, Any] = super().validate(attrs)
        if "mac" in checked:
            checked["mac"] = _card(checked["mac"])
        if "security_groups" in checked:
            checked["security_groups"] = checked["security_groups"] or []
        return checked


class PortCreate(PortUpdate, Owned):
    """A new port."""

    keys = {"mac": "mac_address", "vnic_type": "binding:vnic_type"}
    network_id = fields.Uuid()
    vnic_type = fields.Choice(["normal"], required=False)


class SecurityGroupUpdate(StrictSerializer):
    """Changes of a security group."""

    name = _text()
    description = _text()


class SecurityGroupCreate(Owned):
    """A new security group."""


class RuleUpdate(StrictSerializer):
    """Changes of a rule: what it says stays."""

    description = _text()


class GroupReference(fields.Uuid):
    """The id of a security group; like an id that none has, what cannot be one is not found, as in Neutron."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the UUID; raises SecurityGroupNotFound."""
        text = fields.Text(min_length=1).run_validation(data)
        try:
            return super().to_internal_value(text)
        except ValidationError:
            raise SecurityGroupNotFound(text[:64]) from None


class RuleCreate(OfProject):
    """A new rule of a security group; protocol and ports are words and numbers in many forms."""

    security_group_id = GroupReference()
    direction = fields.Choice(["ingress", "egress"])
    ethertype = fields.Text(required=False, max_length=16, allow_null=True)
    protocol = _Word(required=False, allow_null=True)
    port_range_min = _Word(required=False, allow_null=True)
    port_range_max = _Word(required=False, allow_null=True)
    remote_ip_prefix = fields.Text(required=False, max_length=43, allow_null=True)
    remote_group_id = GroupReference(required=False, allow_null=True)
    description = _text()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return what a NewRule is made of, and the project; raises InvalidInput for words that mean nothing."""
        project = super().validate(attrs)
        ethertype = attrs.get("ethertype") or "IPv4"
        if ethertype.lower() not in ("ipv4", "ipv6"):
            raise SecurityGroupRuleInvalidEtherType(ethertype)
        remote_group = attrs.get("remote_group_id")
        return {
            "group_id": attrs["security_group_id"],
            "direction": attrs["direction"],
            "ip_version": int(ethertype[-1]),
            "protocol": attrs.get("protocol"),
            "port_min": _port(attrs.get("port_range_min")),
            "port_max": _port(attrs.get("port_range_max")),
            "remote_prefix": attrs.get("remote_ip_prefix") or None,
            "remote_group_id": remote_group,
            "description": attrs.get("description", ""),
            **{key: project[key] for key in ("project_id",) if key in project},
        }


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise SecurityGroupInvalidPortValue(text[:64])
    return int(text)


class RbacPolicyUpdate(StrictSerializer):
    """With whom a thing is shared instead."""

    keys = {"target": "target_tenant"}
    target = fields.Text(min_length=1, max_length=64, pattern=TARGET)


class RbacPolicyCreate(RbacPolicyUpdate, OfProject):
    """What is shared with whom."""

    object_type = fields.Text(max_length=64)
    object_id = fields.Uuid()
    action = fields.Text(max_length=64)


class Tags(StrictSerializer):
    """All tags of a thing."""

    tags = ListField(child=fields.Text(min_length=1, max_length=TAG_MAX_CHARS), max_length=TAGS_MAX)


class QuotaUpdate(StrictSerializer):
    """Limits of a project; -1 for none."""

    network = _limit()
    subnet = _limit()
    port = _limit()
    security_group = _limit()
    security_group_rule = _limit()
    rbac_policy = _limit()
