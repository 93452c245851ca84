"""Bodies and queries of requests about server groups, in the newest terms."""

from typing import Any

from rest_framework import serializers

from computecloud.wire import fields
from computecloud.wire.errors import InvalidInput
from computecloud.wire.serializers import StrictSerializer
from scheduling.models import Policy

_SOFT = (Policy.SOFT_AFFINITY, Policy.SOFT_ANTI_AFFINITY)


class Rules(StrictSerializer):
    """What stands under `rules`."""

    max_server_per_host = fields.Integer(min_value=1, required=False)


class CreateServerGroup(StrictSerializer):
    """What stands under `server_group` in POST /os-server-groups; before 2.64 one policy in a list."""

    name = fields.Name()
    policies = serializers.ListField(
        child=fields.Choice([policy.value for policy in Policy]), min_length=1, max_length=1, required=False
    )
    policy = fields.Choice([policy.value for policy in Policy], required=False)
    rules = Rules(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Have the policy under one name; refuse soft ones before 2.15, and rules for a policy that has none."""
        policy = Policy(attrs["policy"] if "policy" in attrs else attrs["policies"][0])
        if policy in _SOFT and not self.behaves("soft_policies"):
            raise InvalidInput(
                f"Invalid input for field/attribute policies. '{policy.value}' is not one of "
                "['anti-affinity', 'affinity']."
            )
        rules = attrs.get("rules", {})
        if rules and policy is not Policy.ANTI_AFFINITY:
            raise InvalidInput("Only anti-affinity policy supports rules.")
        return {"name": attrs["name"], "policy": policy, "max_per_node": rules.get("max_server_per_host")}


class ServerGroupsQuery(StrictSerializer):
    """What GET /os-server-groups takes; all_projects is an admin's."""

    all_projects = fields.Text(required=False)
    limit = fields.Integer(min_value=0, required=False)
    offset = fields.Integer(min_value=0, required=False)
