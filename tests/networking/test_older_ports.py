"""Ports that were there before security groups: an upgrade closes none of them."""

from importlib import import_module

from django.apps import apps

from networking import selectors, surroundings
from networking.models import PortGroup, SecurityGroup, SecurityGroupRule
from networking.services import bind, plan
from tests.networking.conftest import a_network, a_subnet

keep_open = import_module("networking.migrations.0003_ports_of_before_stay_open").keep_open


def test_older_ports_are_put_in_a_group_that_lets_everything_pass(tenant, network, subnet, instance_id):
    bind(instance_id, tenant.project_id, "host1", plan(None, tenant))
    PortGroup.objects.all().delete()
    for _ in range(2):
        keep_open(apps, None)
        [facts] = selectors.facts_of(instance_id)
        [rules] = surroundings.of([facts], "host1").groups.values()
        assert {(rule.ingress, rule.version) for rule in rules} == {
            (True, 4), (True, 6), (False, 4), (False, 6),
        }  # fmt: skip
        assert {(rule.protocol, rule.prefix, rule.group) for rule in rules} == {(None, None, None)}
    group = SecurityGroup.objects.get(name="open")
    assert {rule.meaning for rule in group.rules.all()} == {
        rule.in_one_form() for rule in SecurityGroupRule.objects.filter(group=group)
    }
    assert PortGroup.objects.count() == 1


def test_ports_that_have_groups_or_no_port_security_stay_as_they_are(db, tenant, instance_id):
    net = a_network(tenant, port_security_enabled=False)
    a_subnet(tenant, net)
    bind(instance_id, tenant.project_id, "host1", plan(None, tenant))
    keep_open(apps, None)
    assert not PortGroup.objects.exists()
    assert not SecurityGroup.objects.filter(name="open").exists()
