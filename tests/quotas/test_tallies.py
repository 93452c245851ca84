"""Counters of owners that are no projects: begun from what is there, never over the limit, mended by doctor."""

from collections import Counter

import pytest
from django.db import transaction

from instances.models import KeyPair
from instances.services import keypairs
from quotas import services, tallies
from quotas.models import Tally
from tests.instances.test_create import KEY
from tests.quotas.conftest import together


def keys(count, user="u"):
    KeyPair.objects.bulk_create(
        KeyPair(user_id=user, name=f"k{number}", public_key="x", fingerprint="x") for number in range(count)
    )


def used(owner="u"):
    return Tally.objects.get(resource="key_pairs", owner=owner).used


def make(name):
    keypairs.create(user_id="u", name=name, public_key=KEY, project_id="p")


def test_what_was_there_before_counts(db):
    keys(3)
    make("new")
    assert used() == 4


def test_what_is_removed_before_anybody_counted_is_not_counted(db):
    keys(3)
    keypairs.delete(user_id="u", name="k0")
    assert used() == 2
    keypairs.delete(user_id="u", name="k1")
    assert used() == 1


def test_what_is_given_back_after_it_was_removed_is_counted_once(db):
    keys(3)
    KeyPair.objects.filter(name="k0").delete()
    tallies.give_back("key_pairs", "u", 1)
    assert used() == 2


def test_over_the_limit_nothing_is_counted(db):
    services.set_limits("p", key_pairs=2)
    assert tallies.take("key_pairs", "u", 2, project_id="p")
    assert not tallies.take("key_pairs", "u", 1, project_id="p")
    assert tallies.take("key_pairs", "u", 1, project_id="q")
    assert used() == 3


def test_without_a_limit_everything_is_counted(db):
    services.set_limits("p", key_pairs=-1)
    assert tallies.take("key_pairs", "u", 500, project_id="p")


def test_a_refused_thing_leaves_no_count(db):
    make("k")
    with pytest.raises(Exception, match="already exists"):
        make("k")
    with pytest.raises(Exception, match="not found"):
        keypairs.delete(user_id="u", name="another")
    assert used() == 1


def test_counting_and_giving_back_are_one_statement_each(db, django_assert_num_queries):
    tallies.take("key_pairs", "u", 1, project_id="p")
    with django_assert_num_queries(1):
        tallies.take("key_pairs", "u", 1, project_id="p")
    with django_assert_num_queries(1):
        tallies.give_back("key_pairs", "u", 1)


def test_a_wrong_counter_is_found_and_counted_again(db):
    keys(2)
    wrong = Tally.objects.create(resource="key_pairs", owner="u", used=9)
    right = Tally.objects.create(resource="key_pairs", owner="nobody", used=0)
    assert list(tallies.wrong()) == [(wrong, 2)]
    assert tallies.count_again(wrong) == 1
    assert used() == 2
    assert tallies.count_again(right) == 0


def test_a_counter_that_goes_on_counting_is_left_alone(db):
    keys(2)
    wrong = Tally.objects.create(resource="key_pairs", owner="u", used=9)
    Tally.objects.update(used=10)
    assert tallies.count_again(wrong) == 0
    assert used() == 10


def test_wrong_counters_are_found_at_the_same_cost_for_ten_and_for_hundreds(
    db, django_assert_max_num_queries
):
    Tally.objects.bulk_create(Tally(resource="key_pairs", owner=f"u{n}", used=1) for n in range(400))
    with django_assert_max_num_queries(6):
        assert len(list(tallies.wrong())) == 400


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("before", [0, 2])
def test_racing_users_never_have_more_than_the_limit(before):
    services.set_limits("p", key_pairs=5)
    keys(before)
    outcomes = Counter(
        type(one).__name__ for one in together(*[lambda n=n: make(f"n{n}") for n in range(10)])
    )
    assert outcomes == {"NoneType": 5 - before, "QuotaExceeded": 5 + before}
    assert used() == KeyPair.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_one_key_that_is_made_and_removed_at_once_again_and_again_is_counted_right():
    def remove():
        keypairs.delete(user_id="u", name="k")

    for _ in range(5):
        together(*[lambda: make("k")] * 3, *[remove] * 3)
    assert used() == KeyPair.objects.count()


@pytest.mark.django_db(transaction=True)
def test_removals_that_begin_to_count_together_count_once():
    keys(6)

    def remove(number):
        with transaction.atomic():
            keypairs.delete(user_id="u", name=f"k{number}")

    assert together(*[lambda n=n: remove(n) for n in range(4)]) == [None] * 4
    assert used() == KeyPair.objects.count() == 2
