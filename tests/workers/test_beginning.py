"""How a worker begins: as it should, or not at all, whatever Celery makes of what a signal's handler raises."""

from collections.abc import Callable
from typing import Any

import pytest
from celery.utils.dispatch import Signal
from django.db import OperationalError, connection

from workers import celery_hooks, clock
from workers.host import HostWorker
from workers.models import Host, Operation


def sent_to(handler: Callable[..., object]) -> None:
    """Have a signal of Celery's call the handler."""
    signal = Signal()
    signal.connect(handler)
    signal.send(sender=None)


def away(times: int) -> Callable[..., Any]:
    """Return what makes the database be away for so many statements."""
    left = [times]

    def execute(go_on: Callable[..., Any], *words: Any) -> Any:
        if left[0] > 0:
            left[0] -= 1
            raise OperationalError("database or disk is full")
        return go_on(*words)

    return execute


def test_a_worker_whose_host_another_process_has_ends(monkeypatch):
    other = HostWorker("toyhost")
    other._lock = other._take_lock()
    monkeypatch.setattr(celery_hooks, "_worker", HostWorker("toyhost"))
    with pytest.raises(SystemExit):
        sent_to(celery_hooks._init)
    other._lock.close()


def test_a_host_worker_that_begins_while_its_database_is_away_ends(monkeypatch):
    monkeypatch.setattr(celery_hooks, "_worker", HostWorker("toyhost"))
    with connection.execute_wrapper(away(1)), pytest.raises(SystemExit):
        sent_to(celery_hooks._init)
    assert not Host.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_worker_goes_on_with_what_an_earlier_one_left_once_its_database_is_back(accepted, monkeypatch):
    monkeypatch.setattr(celery_hooks, "PAUSE_S", 0.01)
    accepted()
    died = {"lease_token": "t", "lease_worker": f"{celery_hooks.control_prefix()}99999999"}
    Operation.objects.update(**died, lease_until=clock.now() + 60)
    with connection.execute_wrapper(away(2)):
        sent_to(celery_hooks._ready)
    assert Operation.objects.get().lease_token is None


def test_a_worker_whose_database_stays_away_leaves_that_to_the_next_one(monkeypatch):
    monkeypatch.setattr(celery_hooks, "READY_WITHIN_S", -1.0)
    with connection.execute_wrapper(away(1)), pytest.raises(SystemExit):
        sent_to(celery_hooks._ready)
