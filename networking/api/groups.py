"""Security groups, their rules, and RBAC policies over HTTP."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.http import HttpResponseBase
from rest_framework.request import Request

from networking import selectors, services
from networking.api import documents, queries, serializers
from networking.api.views import CollectionView, ItemView, without_project
from networking.errors import RbacPolicyNotFound, SecurityGroupNotFound, SecurityGroupRuleNotFound
from networking.services.groups import NewGroup
from networking.services.rules import NewRule
from networking.services.sharing import NewPolicy

RULES_MAX = 5_000  # that one request makes


class SecurityGroups(CollectionView):
    """The collection of security groups; the caller's project has one from the first look on."""

    plural, singular = "security_groups", "security_group"
    collection, new = queries.SECURITY_GROUPS, serializers.SecurityGroupCreate

    def get(self, request: Request) -> HttpResponseBase:
        """List those that the query asks for."""
        services.default_group(self.project_id)
        return super().get(request)

    def rows(self) -> Any:
        """Return the caller's groups, and those shared with it."""
        return selectors.security_groups(self.caller)

    def documents(self, found: Sequence[Any]) -> list[dict[str, Any]]:
        """Return groups with their rules."""
        return documents.security_groups(found, self.caller)

    def create(self, wanted: dict[str, Any]) -> Any:
        """Make a group."""
        return services.create_group(NewGroup(**wanted), caller=self.caller)


class SecurityGroup(ItemView):
    """One security group."""

    singular, changed, missing = "security_group", serializers.SecurityGroupUpdate, SecurityGroupNotFound
    change, remove = staticmethod(services.update_group), staticmethod(services.delete_group)

    def find(self, item_id: UUID) -> Any:
        """Return it."""
        return selectors.security_group(self.caller, item_id)

    def documents(self, found: Sequence[Any]) -> list[dict[str, Any]]:
        """Return it with its rules."""
        return documents.security_groups(found, self.caller)


class SecurityGroupRules(CollectionView):
    """The collection of rules."""

    plural, singular = "security_group_rules", "security_group_rule"
    collection, new, most = queries.SECURITY_GROUP_RULES, serializers.RuleCreate, RULES_MAX

    def get(self, request: Request) -> HttpResponseBase:
        """List those that the query asks for."""
        services.default_group(self.project_id)
        return super().get(request)

    def rows(self) -> Any:
        """Return the rules of the groups that the caller sees."""
        return selectors.security_group_rules(self.caller)

    def documents(self, found: Sequence[Any]) -> list[dict[str, Any]]:
        """Return rules."""
        return documents.security_group_rules(found, self.caller)

    def create(self, wanted: dict[str, Any]) -> Any:
        """Make a rule."""
        return self.create_all([wanted])[0]

    def create_all(self, wanted: list[dict[str, Any]]) -> list[Any]:
        """Make rules of one group."""
        for one in wanted:
            without_project(one, self.caller, "a rule belongs to its group's project")
        return services.create_rules([NewRule(**one) for one in wanted], caller=self.caller)


class SecurityGroupRule(ItemView):
    """One rule."""

    singular, changed, missing = "security_group_rule", serializers.RuleUpdate, SecurityGroupRuleNotFound
    change, remove = staticmethod(services.update_rule), staticmethod(services.delete_rule)

    def find(self, item_id: UUID) -> Any:
        """Return it."""
        return selectors.security_group_rule(self.caller, item_id)

    def documents(self, found: Sequence[Any]) -> list[dict[str, Any]]:
        """Return it."""
        return documents.security_group_rules(found, self.caller)


class RbacPolicies(CollectionView):
    """The collection of RBAC policies."""

    plural, singular = "rbac_policies", "rbac_policy"
    collection, new = queries.RBAC_POLICIES, serializers.RbacPolicyCreate

    def rows(self) -> Any:
        """Return the policies that the caller's project made, or that give it something."""
        return selectors.rbac_policies(self.caller)

    def documents(self, found: Sequence[Any]) -> list[dict[str, Any]]:
        """Return policies."""
        return documents.rbac_policies(found, self.caller)

    def create(self, wanted: dict[str, Any]) -> Any:
        """Share something; the policy belongs to whom the thing belongs to."""
        without_project(wanted, self.caller, "a policy belongs to the project of what it shares")
        return services.create_policy(NewPolicy(**wanted), caller=self.caller)


class RbacPolicy(ItemView):
    """One RBAC policy."""

    singular, changed, missing = "rbac_policy", serializers.RbacPolicyUpdate, RbacPolicyNotFound
    change, remove = staticmethod(services.update_policy), staticmethod(services.delete_policy)

    def find(self, item_id: UUID) -> Any:
        """Return it."""
        return selectors.rbac_policy(self.caller, item_id)

    def documents(self, found: Sequence[Any]) -> list[dict[str, Any]]:
        """Return it."""
        return documents.rbac_policies(found, self.caller)

    def wanted(self, body: dict[str, Any]) -> Any:
        """Return the new target."""
        return body["target"]
