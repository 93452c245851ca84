"""A boot that fails on a node: it is tried on others, and what went wrong is told when none is left."""

from instances.models import Instance
from networking.models import Port, Subnet
from scheduling.models import Node
from tests.faults.world import World
from workers.testing import Drive


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
