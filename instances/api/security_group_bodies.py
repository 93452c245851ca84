"""Bodies of os-security-groups and os-security-group-rules."""

from computecloud.wire import fields
from computecloud.wire.serializers import StrictSerializer

PORT_MAX = 65_535


class SecurityGroupBody(StrictSerializer):
    """What stands under `security_group`."""

    name = fields.Name()
    description = fields.Text(required=False)


def _port() -> fields.Integer:
    """Return the field of a port, or of a type or code of ICMP, where -1 is any."""
    return fields.Integer(min_value=-1, max_value=PORT_MAX, required=False, allow_null=True)


class NewRuleBody(StrictSerializer):
    """What stands under `security_group_rule`."""

    parent_group_id = fields.Uuid()
    group_id = fields.Uuid(required=False, allow_null=True)
    ip_protocol = fields.Text(required=False, allow_null=True)
    from_port = _port()
    to_port = _port()
    cidr = fields.Text(required=False, allow_null=True)
