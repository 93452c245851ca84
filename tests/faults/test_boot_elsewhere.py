"""A boot that fails on a node: it is tried on others, and what went wrong is told when none is left."""

import pytest
from django.db import connection

import scheduling.audit
from instances.models import Instance
from networking.models import Port, Subnet
from scheduling.models import Allocation, Node
from tests.faults.world import World
from workers.testing import Crash, Drive, failure


def test_a_boot_that_no_node_can_help_says_what_went_wrong_and_not_only_that_no_node_is_left(world: World):
    nodes = list(Node.objects.values_list("pk", flat=True))
    Node.objects.exclude(pk__in=nodes[:2]).update(present=False)
    subnet = Subnet.objects.get(network=world.network_id)
    address = subnet.gateway_ip.rpartition(".")[0] + ".77"
    networks = [{"uuid": str(world.network_id), "fixed_ip": address}]
    first, booting = world.boot(networks=networks)
    second, too_late = world.boot(networks=networks)
    assert Drive(booting.id).run().state == "succeeded"
    assert Drive(too_late.id).run().state == "failed"
    fault = Instance.objects.get(id=second.id).fault
    assert fault["message"].startswith("No valid host was found.")
    assert (
        f"On the one tried last: Unable to complete operation for network {world.network_id}. "
        in fault["message"]
    )
    assert f"The IP address {address} is in use. Of 4 nodes" in fault["message"]
    assert set(Port.objects.exclude(instance_id=None).values_list("instance_id", flat=True)) == {first.id}


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_dies_while_it_gives_a_claim_back_leaves_the_counters_exact(world: World):
    _, operation = world.boot()
    claimed: list[int] = []

    def die_at_the_first_counter(execute, statement, *rest):
        if statement.lstrip().startswith("UPDATE scheduling_inventory SET used = used -") and not claimed:
            claimed.append(Allocation.objects.count())
            raise Crash
        return execute(statement, *rest)

    with connection.execute_wrapper(die_at_the_first_counter):
        Drive(operation.id, [failure("create.wire.taken", retryable=False)]).run()
    assert claimed == [0], "the claim was gone when the worker died"
    assert scheduling.audit.drifted() == []
