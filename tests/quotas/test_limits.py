"""Limits: a project's own or the defaults, and never below what is used unless by force."""

import uuid
from collections import Counter

import pytest
from django.db import transaction

from computecloud.wire.errors import InvalidInput, QuotaExceeded
from quotas import selectors, services
from quotas.models import COUNTED, LIMITED, UNLIMITED, Charge, ProjectUsage, QuotaClass
from quotas.services import Demand
from tests.quotas.conftest import together

ONE = Demand(instances=1, cores=2, ram_mib=512)


def charge(project_id="p", each=ONE):
    with transaction.atomic():
        services.charge(project_id, [uuid.uuid4()], each)


def test_a_project_without_limits_of_its_own_follows_the_defaults(db):
    services.set_defaults(instances=1)
    charge()
    with pytest.raises(QuotaExceeded, match="already used 1 of 1 instances"):
        charge()
    services.set_defaults(instances=2)
    charge()
    assert selectors.limits("p")["instances"] == selectors.limits("nobody")["instances"] == 2


def test_a_limit_of_its_own_counts_whatever_the_default(db):
    services.set_limits("p", instances=2)
    services.set_defaults(instances=0, cores=100)
    charge()
    charge()
    with pytest.raises(QuotaExceeded, match="Quota exceeded for instances"):
        charge()
    with pytest.raises(QuotaExceeded, match="already used 0 of 0 instances"):
        charge("q")
    services.follow_defaults("p")
    with pytest.raises(QuotaExceeded, match="already used 2 of 0 instances"):
        charge()


def test_the_first_numbers_are_novas(db):
    first = selectors.defaults()
    assert {name: first[name] for name in LIMITED[:7]} == {
        "instances": 10,
        "cores": 20,
        "ram_mib": 51_200,
        "server_groups": 10,
        "key_pairs": 100,
        "metadata_items": 128,
        "server_group_members": 10,
    }


@pytest.mark.parametrize("resource", LIMITED)
def test_each_limit_is_kept_by_project_and_by_default(db, resource):
    services.set_defaults(**{resource: 3})
    assert selectors.limit("p", resource) == selectors.limits("p")[resource] == 3
    services.set_limits("p", **{resource: 4})
    assert selectors.limit("p", resource) == selectors.limits("p")[resource] == 4
    assert selectors.limit("q", resource) == 3
    services.set_limits("p", **{resource: None})
    assert selectors.limit("p", resource) == 3


def test_a_limit_is_read_before_there_are_rows(db):
    QuotaClass.objects.all().delete()
    assert selectors.limit("p", "metadata_items") == 128
    assert not ProjectUsage.objects.exists()


@pytest.mark.parametrize("resource", COUNTED)
def test_a_limit_below_what_is_used_is_refused_in_novas_words_and_taken_by_force(db, resource):
    services.unlimit("p")
    charge(each=Demand(**{resource: 5}))
    with pytest.raises(InvalidInput) as refused:
        services.set_limits("p", force=False, **{resource: 4})
    name = services.nova_name(resource)
    assert refused.value.message == (
        f"Quota limit 4 for {name} must be greater than or equal to already used and reserved 5."
    )
    services.set_limits("p", force=False, **{resource: 5})
    services.set_limits("p", force=False, **{resource: UNLIMITED})
    services.set_limits("p", force=True, **{resource: 4})
    assert selectors.limits("p")[resource] == 4


def test_nothing_of_a_refused_change_is_kept(db):
    charge()
    with pytest.raises(InvalidInput):
        services.set_limits("p", force=False, key_pairs=7, instances=0)
    assert selectors.limits("p")["key_pairs"] == 100


def test_who_is_over_one_limit_may_take_of_another(db):
    charge()
    services.set_limits("p", instances=0)
    charge(each=Demand(server_groups=1))
    assert selectors.usage("p").server_groups == 1


def test_metadata_is_held_against_its_limit_and_not_added_up(db):
    services.set_limits("p", metadata_items=2)
    for _ in range(3):
        charge(each=Demand(instances=1, metadata_items=2))
    with pytest.raises(QuotaExceeded) as refused:
        charge(each=Demand(instances=1, metadata_items=3))
    assert refused.value.message == "Maximum number of metadata items exceeds 2"
    assert (selectors.usage("p").instances, Charge.objects.count()) == (3, 3)


@pytest.mark.parametrize("each", [ONE, Demand(instances=1, metadata_items=4), Demand(server_groups=1)])
def test_a_charge_is_two_statements_whatever_is_asked_for(db, django_assert_num_queries, each):
    services.begin("p")
    with django_assert_num_queries(2):
        services.charge("p", [uuid.uuid4(), uuid.uuid4()], each)


@pytest.mark.django_db(transaction=True)
def test_a_limit_that_is_lowered_while_charges_run_is_never_below_what_is_used():
    services.set_limits("p", instances=8, cores=UNLIMITED)
    works = [charge for _ in range(8)] + [lambda: services.set_limits("p", force=False, instances=3)]
    outcomes = Counter(type(one) for one in together(*works))
    used, limit = selectors.usage("p").instances, selectors.limits("p")["instances"]
    assert used <= limit
    assert outcomes[InvalidInput] == (limit == 8)
    assert (used, outcomes[QuotaExceeded]) == ((8, 0) if limit == 8 else (3, 5))


@pytest.mark.django_db(transaction=True)
def test_racing_first_charges_of_a_project_all_count():
    outcomes = together(*[charge] * 6)
    assert outcomes == [None] * 6
    assert selectors.usage("p").instances == 6


@pytest.mark.django_db(transaction=True)
def test_a_charge_that_is_released_twice_at_once_is_given_back_once():
    first, second = uuid.uuid4(), uuid.uuid4()
    services.charge("p", [first, second], ONE)

    def release():
        with transaction.atomic():
            return services.release(first)

    assert sorted(map(str, together(*[release] * 4))) == ["False", "False", "False", "True"]
    assert selectors.usage("p").instances == 1
