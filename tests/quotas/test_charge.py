"""Charging: never over the limit, released exactly once."""

import threading
import uuid

import pytest
from django.db import connection, transaction

from computecloud.wire.errors import QuotaExceeded
from quotas import checks, selectors, services
from quotas.models import Charge, ProjectUsage
from quotas.services import Demand

ONE = Demand(instances=1, cores=2, ram_mib=512)


def test_a_charge_counts_and_its_release_takes_it_back(db):
    consumer = uuid.uuid4()
    services.charge("p", [consumer], ONE)
    assert selectors.usage("p").cores == 2
    assert services.release(consumer) is True
    assert selectors.usage("p").cores == 0
    assert not Charge.objects.exists()


def test_a_second_release_changes_nothing(db):
    first, second = uuid.uuid4(), uuid.uuid4()
    services.charge("p", [first], ONE)
    services.charge("p", [second], ONE)
    assert services.release(first) is True
    assert services.release(first) is False
    assert selectors.usage("p").instances == 1


def test_over_quota_says_what_was_asked_used_and_allowed_in_novas_words(db):
    services.set_limits("p", instances=1, cores=20, ram_mib=51_200)
    services.charge("p", [uuid.uuid4()], ONE)
    with pytest.raises(QuotaExceeded) as refused, transaction.atomic():
        services.charge("p", [uuid.uuid4()], ONE)
    assert (
        refused.value.message
        == "Quota exceeded for instances: Requested 1, but already used 1 of 1 instances"
    )
    assert Charge.objects.count() == 1


def test_several_exceeded_resources_are_all_named(db):
    services.set_limits("p", instances=0, cores=1, ram_mib=51_200)
    with pytest.raises(QuotaExceeded, match="Quota exceeded for instances, cores: Requested 1, 2"):
        services.charge("p", [uuid.uuid4()], ONE)


def test_an_unlimited_project_is_never_refused(db):
    services.unlimit("p")
    for _ in range(30):
        services.charge("p", [uuid.uuid4()], ONE)
    assert selectors.usage("p").instances == 30


def test_a_refused_charge_in_a_transaction_leaves_nothing(db):
    services.set_limits("p", instances=1, cores=20, ram_mib=51_200)
    with pytest.raises(QuotaExceeded), transaction.atomic():
        services.charge("p", [uuid.uuid4()], ONE)
        services.charge("p", [uuid.uuid4()], ONE)
    assert selectors.usage("p").instances == 0


@pytest.mark.django_db(transaction=True)
def test_racing_charges_never_exceed_the_limit():
    services.set_limits("p", instances=5, cores=100, ram_mib=51_200)
    outcomes: list[bool] = []

    def one() -> None:
        try:
            with transaction.atomic():
                services.charge("p", [uuid.uuid4()], ONE)
            outcomes.append(True)
        except QuotaExceeded:
            outcomes.append(False)
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 7 + [True] * 5
    assert selectors.usage("p").instances == 5


def test_the_check_names_a_counter_that_is_not_the_sum(db):
    services.charge("p", [uuid.uuid4()], ONE)
    ProjectUsage.objects.update(cores=7)
    found = [violation.what for violation in checks._counters_are_sums()]
    assert found == ["project p counts 7 cores, its charges sum to 2"]


def test_no_charge_comes_between_a_counter_and_the_sum_that_it_is_checked_with(db, django_assert_num_queries):
    services.charge("p", [uuid.uuid4()], ONE)
    with django_assert_num_queries(1):
        assert list(checks._counters_are_sums()) == []


def test_several_consumers_are_charged_together_or_not_at_all(db):
    services.set_limits("p", instances=2, cores=100, ram_mib=51_200)
    with pytest.raises(QuotaExceeded), transaction.atomic():
        services.charge("p", [uuid.uuid4() for _ in range(3)], ONE)
    assert not Charge.objects.exists()
    services.charge("p", [uuid.uuid4() for _ in range(2)], ONE)
    assert selectors.usage("p").cores == 4
