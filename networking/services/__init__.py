"""Everything that changes networking's rows; other rooms and the API call what is named here."""

from networking.selectors import facts_of
from networking.services.allocation import WantedIp
from networking.services.auto import auto_network
from networking.services.bootstrap import bootstrap, let_in
from networking.services.compute_form import in_compute_form, rule_in_compute_form
from networking.services.groups import create_group, default_group, delete_group, update_group
from networking.services.instances import bind, mark_wired, plan, unbind
from networking.services.membership import groups_of_instance, join_group, leave_group
from networking.services.networks import create_network, delete_network, update_network
from networking.services.ports import create_port, delete_port, update_port
from networking.services.rules import create_rules, delete_rule, update_rule
from networking.services.sharing import create_policy, delete_policy, update_policy
from networking.services.subnets import create_subnet, delete_subnet, update_subnet
from networking.services.tagging import add_tags, remove_tag, set_tags

__all__ = [
    "WantedIp",
    "add_tags",
    "auto_network",
    "bind",
    "bootstrap",
    "create_group",
    "create_network",
    "create_policy",
    "create_port",
    "create_rules",
    "create_subnet",
    "default_group",
    "delete_group",
    "delete_network",
    "delete_policy",
    "delete_port",
    "delete_rule",
    "delete_subnet",
    "facts_of",
    "groups_of_instance",
    "in_compute_form",
    "join_group",
    "leave_group",
    "let_in",
    "mark_wired",
    "plan",
    "remove_tag",
    "rule_in_compute_form",
    "set_tags",
    "unbind",
    "update_group",
    "update_network",
    "update_policy",
    "update_port",
    "update_rule",
    "update_subnet",
]
