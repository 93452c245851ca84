"""Bodies of what the Compute API passes on to the Network API until 2.35, and of hosts until 2.42."""

from computecloud.wire.services import COMPUTE
from instances.api import operator_bodies, security_group_bodies
from tests.architecture.tenant_templates import free, ref, template, word

_RULE = {"ip_protocol": "tcp", "from_port": 80, "to_port": 80, "cidr": "10.0.0.0/24"}
PROXY_BODIES = [
    template(
        COMPUTE,
        "SecurityGroupListView",
        "POST",
        security_group_bodies.SecurityGroupBody,
        "security_group",
        least={"name": "one", "description": "one"},
        slots={"name": free("security_group_name"), "description": free("server_name")},
    ),
    template(
        COMPUTE,
        "SecurityGroupRulesView",
        "POST",
        security_group_bodies.NewRuleBody,
        "security_group_rule",
        least={"parent_group_id": "@security_group", **_RULE},
        slots={
            "parent_group_id": ref("security_group"),
            "group_id": ref("security_group", cidr=None),
            "ip_protocol": word("udp"),
            "cidr": word("10.0.1.0/24"),
        },
    ),
    template(
        COMPUTE,
        "HostView",
        "PUT",
        operator_bodies.UpdateHost,
        least={"status": "enable"},
        admins=True,
    ),
]
