"""Placing: each filter removes what it should and says so, weighers order the rest, claims never oversell."""

import threading
import uuid
from datetime import timedelta

import pytest
from django.db import connection, transaction

from computecloud.config import CONFIG
from computecloud.wire.errors import InvalidInput
from scheduling import claims, place, query, report, selectors
from scheduling.models import Allocation, Decision, Inventory, Node
from tests.scheduling.conftest import facts, request
from workers import audits, expiry
from workers.models import Finding, Host, Subject, utc_now


def placed(wanted, operation_id=None):
    ranking = place.rank(wanted)
    with transaction.atomic():
        return place.claim_best(wanted, ranking, operation_id or uuid.uuid4())


def test_the_emptiest_node_is_chosen_and_claimed(host_with):
    host_with("a", facts("small", memory_mib=4_096))
    host_with("b", facts("large", memory_mib=65_536, vcpus=32, disk_gib=900))
    wanted = request()
    assert placed(wanted).name == "large"
    assert selectors.allocation_of(wanted.consumer_id) == {"VCPU": 1, "MEMORY_MB": 1_024, "DISK_GB": 10}
    assert Inventory.objects.get(node__name="large", resource_class="MEMORY_MB").used == 1_024
    assert Decision.objects.get().node == "large"


def test_a_resource_class_of_the_sites_own_is_looked_for_and_claimed(host_with):
    host_with("a", facts("plain", memory_mib=65_536), facts("gold"))
    gold = Node.objects.get(name="gold")
    Inventory.objects.create(node=gold, resource_class="CUSTOM_GOLD", total=2)
    wanted = request(resources={"VCPU": 1, "CUSTOM_GOLD": 2})
    assert placed(wanted).name == "gold"
    assert Inventory.objects.get(resource_class="CUSTOM_GOLD").used == 2
    assert place.rank(request(resources={"CUSTOM_GOLD": 1})).best == []


def test_a_node_whose_resources_nobody_has_told_yet_is_not_considered(host_with):
    host_with("a", facts("told"), facts("silent"))
    Inventory.objects.filter(node__name="silent").delete()
    ranking = place.rank(request())
    assert [node.name for node in ranking.best] == ["told"]
    assert ranking.considered == 1


@pytest.mark.parametrize(
    ("columns", "wanted", "words"),
    [
        ({"enabled": False}, {}, "1 on a disabled host"),
        ({"alive": False}, {}, "1 on a host that is down"),
        ({"forced_down": True}, {}, "1 on a host that is down"),
        ({}, {"zone": "elsewhere"}, "1 outside the availability zone"),
        ({}, {"host": "other"}, "1 not the host or node asked for"),
        ({}, {"node": "other"}, "1 not the host or node asked for"),
        ({}, {"excluded_nodes": frozenset({"a-node"})}, "1 tried before, without success"),
        ({}, {"resources": {"MEMORY_MB": 999_999}}, "1 without enough free processors, memory or disk"),
        ({}, {"resources": {"CUSTOM_GOLD": 1}}, "1 without enough free processors, memory or disk"),
        (
            {},
            {"image_properties": {"hw_architecture": "aarch64"}},
            "1 unable to run the image's architecture",
        ),
        ({}, {"image_properties": {"img_hv_type": "xen"}}, "1 unable to run the image's architecture"),
        (
            {},
            {"required_traits": frozenset({"COMPUTE_SECURITY_TPM_2_0"})},
            "1 without a device or trait that image or flavor asks for, or with a forbidden one "
            "(COMPUTE_SECURITY_TPM_2_0)",
        ),
    ],
)
def test_each_filter_removes_a_node_and_says_why(host_with, columns, wanted, words):
    host_with("a", **columns)
    ranking = place.rank(request(**wanted))
    assert ranking.best == []
    assert words in ranking.in_words()
    assert ranking.in_words().startswith(
        "No valid host was found. There are not enough hosts available. Of 1 node: "
    )


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"near": "10.9.0.0/24"}, "1 outside the network of build_near_host_ip"),
        ({"near": "fd00::/8"}, "1 outside the network of build_near_host_ip"),
        ({"query": [">=", "$free_ram_mb", 99_999]}, "1 for which the hint's query does not hold"),
        ({"same_host": frozenset({uuid.uuid4()})}, "1 without any of the servers of same_host"),
    ],
)
def test_each_hint_removes_a_node_and_says_why(host_with, wanted, words):
    host_with("a", facts("n", host_ip="10.8.0.1"))
    ranking = place.rank(request(**wanted))
    assert ranking.best == []
    assert words in ranking.in_words()


def test_a_guest_goes_where_its_traits_are_and_the_forbidden_ones_are_not(host_with):
    host_with(
        "a",
        facts("plain"),
        facts("gold", traits=frozenset({"G"})),
        facts("both", traits=frozenset({"G", "L"})),
    )
    wanted = {"required_traits": frozenset({"G"}), "forbidden_traits": frozenset({"L"})}
    assert [node.name for node in place.rank(request(**wanted)).best] == ["gold"]
    ranking = place.rank(request(**(wanted | {"node": "plain"})))
    assert "2 not the host or node asked for, 1 without a device" in ranking.in_words()
    assert "(G, no L)" in ranking.in_words()


def test_a_node_near_the_address_that_answers_the_query_stays(host_with):
    host_with("a", facts("n", host_ip="10.8.0.1"))
    query = ["and", ["=", "$nodename", "n"], ["not", ["<", "$vcpus_total", 2]], ["in", "$host", "b", "a"]]
    assert [node.name for node in place.rank(request(near="10.8.0.0/16", query=query)).best] == ["n"]


def test_a_guest_goes_where_another_is_and_where_it_is_not(host_with):
    host_with("a", facts("one"), facts("two"))
    first = request()
    there = placed(first).name
    (elsewhere,) = {"one", "two"} - {there}
    named = frozenset({first.consumer_id})
    assert [node.name for node in place.rank(request(same_host=named)).best] == [there]
    assert [node.name for node in place.rank(request(different_host=named)).best] == [elsewhere]


def test_another_projects_guest_stands_nowhere(host_with):
    host_with("a", facts("one"), facts("two"))
    named = frozenset({placed_id(request(project_id="q"))})
    assert place.rank(request(same_host=named)).best == []
    assert len(place.rank(request(different_host=named)).best) == 2


def placed_id(wanted):
    placed(wanted)
    return wanted.consumer_id


@pytest.mark.parametrize(
    ("columns", "wanted", "found"),
    [
        ({"enabled": False}, {"zone": "elsewhere", "query": ["=", 1, 2], "node": "n"}, ["n"]),
        ({"alive": False}, {"node": "n"}, []),
        ({}, {"node": "other"}, []),
        ({}, {"node": "n", "resources": {"MEMORY_MB": 999_999}}, []),
    ],
)
def test_where_an_admin_forces_a_node_only_its_life_and_its_room_count(host_with, columns, wanted, found):
    host_with("a", facts("n"), **columns)
    assert [node.name for node in place.rank(request(forced=True, **wanted)).best] == found


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "{",
            "[]",
            "1",
            '"="',
            "{}",
            '["="]',
            '["%", 1, 2]',
            '["=", "$secret", 1]',
            '["=", {"a": 1}, 1]',
        ),
        *('["and", ["or"]]', "[" * 20 + "]" * 20, '["=", "' + "x" * 5_000 + '", 1]', "[" * 100_000),
        '["not",' * 9 + '["=", 1, 1]' + "]" * 9,
    ],
    ids=range(15),
)
def test_a_query_that_is_none_is_refused(text):
    with pytest.raises(InvalidInput):
        query.parse(text)


def test_a_comparison_of_text_with_a_number_holds_for_no_node(host_with):
    host_with("a")
    assert place.rank(request(query=query.parse('["<", "$host", 5]'))).best == []


def test_words_count_what_each_rule_removed(host_with):
    host_with("a", enabled=False)
    host_with("b", enabled=False)
    host_with("c", alive=False)
    assert (
        place.rank(request())
        .in_words()
        .endswith("Of 3 nodes: 2 on a disabled host, 1 on a host that is down.")
    )


def test_without_any_node_the_words_say_so(db):
    assert "No host has reported a node yet" in place.rank(request()).in_words()


def test_a_full_best_node_gives_way_to_the_next(host_with):
    host_with("a", facts("first", memory_mib=65_536))
    host_with("b", facts("second"))
    wanted = request()
    ranking = place.rank(wanted)
    Inventory.objects.filter(node__name="first", resource_class="MEMORY_MB").update(used=65_000)
    with transaction.atomic():
        assert place.claim_best(wanted, ranking, uuid.uuid4()).name == "second"


def test_a_claim_that_is_short_of_one_resource_takes_none(host_with):
    host_with("a")
    node = Node.objects.get()
    with transaction.atomic():
        assert not claims.claim(request(resources={"DISK_GB": 1, "MEMORY_MB": 1, "VCPU": 9_999}), node.id)
    assert set(Inventory.objects.values_list("used", flat=True)) == {0}
    assert not Allocation.objects.exists()


def test_a_release_gives_back_once(host_with):
    host_with("a")
    wanted = request()
    placed(wanted)
    for _ in range(2):
        with transaction.atomic():
            claims.release(wanted.consumer_id)
    assert set(Inventory.objects.values_list("used", flat=True)) == {0}


@pytest.mark.django_db(transaction=True)
def test_racing_claims_fill_a_node_exactly(host_with):
    host_with("a", facts("node", memory_mib=512 + 3 * 1_024))
    results: list[bool] = []

    def one() -> None:
        try:
            with transaction.atomic():
                results.append(claims.claim(request(), Node.objects.get().id))
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False] * 5 + [True] * 3
    assert Inventory.objects.get(resource_class="MEMORY_MB").used == 3 * 1_024


def test_a_second_report_keeps_claims_and_updates_totals(host_with):
    host = host_with("a")
    placed(request())
    report.write(host, (facts("a-node", memory_mib=16_384),))
    memory = Inventory.objects.get(resource_class="MEMORY_MB")
    assert (memory.total, memory.used) == (16_384, 1_024)
    assert Node.objects.get().number == 1


def test_a_node_that_is_no_longer_reported_takes_no_guests(host_with):
    host = host_with("a", facts("one"), facts("two"))
    report.write(host, (facts("two"),))
    assert [node.name for node in place.rank(request()).best] == ["two"]


def test_ranking_takes_one_query_for_ten_and_for_a_thousand_nodes(host_with, django_assert_num_queries):
    host_with("a", *(facts(f"n{number}") for number in range(10)))
    with django_assert_num_queries(1):
        place.rank(request())
    host_with("b", *(facts(f"m{number}") for number in range(1_000)))
    with django_assert_num_queries(1):
        assert place.rank(request()).considered == 1_010


def test_the_capacity_audit_mends_a_counter_and_an_orphaned_claim(host_with):
    host_with("a")
    placed(request())
    Inventory.objects.filter(resource_class="VCPU").update(used=77)
    run = audits.run("capacity", pause=lambda _s: None)
    assert (run.found, run.mended) == (2, 2)
    assert set(Inventory.objects.values_list("used", flat=True)) == {0}
    assert Finding.objects.count() == 2


def test_a_host_that_is_gone_from_the_fleet_keeps_its_history(host_with):
    host_with("a")
    Host.objects.update(forced_down=True)
    assert Node.objects.count() == 1


@pytest.mark.django_db
def test_a_decision_goes_with_its_consumer_once_its_operation_is_due_for_the_archive():
    old = utc_now() - timedelta(days=CONFIG.archive_after_days + 1)
    there, gone, fresh = (uuid.uuid4() for _ in range(3))
    Subject.objects.create(id=there, type="instance")
    for consumer, at in ((there, old), (gone, old), (fresh, utc_now())):
        Decision.objects.create(
            operation_id=uuid.uuid4(), consumer_id=consumer, considered=1, verdicts=[], created_at=at
        )
    assert list(expiry.look("")) == ["removed 1 decisions about what is gone"]
    assert set(Decision.objects.values_list("consumer_id", flat=True)) == {there, fresh}
