"""What becomes of a failed step: a table."""

from concurrent.futures import Future

import pytest
from django.db import InternalError, OperationalError

from computecloud.wire.errors import Conflict, Unavailable
from hypervisors.driver import CallFailed, CallOverran, HypervisorUnavailable, StaleEpoch
from workers.retry import GiveUp, HostLost, Retry, StepFailed, backoff_s, in_words, verdict


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (CallFailed("no"), 1),
        (CallFailed("busy", retryable=True), 5),
        (CallOverran("slow", Future()), 5),
        (StaleEpoch("old"), 1),
        (StepFailed("no"), 1),
        (StepFailed("busy", retryable=True), 5),
        (Unavailable("away"), 5),
        (Conflict("taken"), 1),
        (OperationalError("database is locked"), 5),
        (HostLost("died"), 5),
        (InternalError("a bug of the database"), 3),
        (KeyError("bug"), 3),
    ],
)
def test_each_kind_of_error_gets_its_number_of_tries(error, tries):
    judged = [verdict(error, attempt=attempt, attempts=5) for attempt in range(1, 6)]
    assert [isinstance(one, Retry) for one in judged] == [attempt < tries for attempt in range(1, 6)]
    assert isinstance(judged[tries - 1], GiveUp)


@pytest.mark.parametrize(("sqlstate", "tries"), [("25P03", 5), ("25P02", 3)])
def test_a_session_that_postgresql_ended_is_an_outage_and_a_transaction_that_failed_is_none(sqlstate, tries):
    error = InternalError("terminating connection due to idle-in-transaction timeout")
    error.__cause__ = Exception()
    error.__cause__.sqlstate = sqlstate
    judged = [verdict(error, attempt=attempt, attempts=5) for attempt in range(1, 6)]
    assert [isinstance(one, Retry) for one in judged] == [attempt < tries for attempt in range(1, 6)]
    assert (in_words(error) == str(error)) == (tries == 5)


def test_a_hypervisor_that_is_away_is_asked_again_soon_and_for_longer():
    judged = [verdict(HypervisorUnavailable("away"), attempt=attempt, attempts=5) for attempt in range(1, 11)]
    assert judged == [Retry(0.5), Retry(1.0), *[Retry(2.0)] * 7, GiveUp()]


def test_the_pause_doubles_up_to_a_bound():
    assert [backoff_s(attempt) for attempt in (1, 2, 3, 10)] == [0.5, 1.0, 2.0, 30.0]


def test_words_for_people_hold_no_internals():
    assert in_words(CallFailed("disk is full")) == "disk is full"
    assert in_words(ValueError("/etc/shadow")) == "unexpected ValueError"
