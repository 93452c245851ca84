"""A step that waits for something long comes back through its host's slow queue, which never takes all threads."""

import time

from workers import dispatch, runner, tasks
from workers.messages import of_step
from workers.models import Host, Operation
from workers.outcome import Outcome
from workers.process import PROCESS, SLOW_AT_ONCE

WAIT, TWO = 3, 4  # cursors of the toy


def queues(operation: Operation) -> list[str]:
    """Return the queues of what would be published now."""
    return [link.queue for link in dispatch.links_of(Operation.objects.get(id=operation.id))]


def waiting(accepted, **params) -> Operation:
    """Return an operation whose step has answered that it waits."""
    operation = accepted(**params)
    for cursor in (0, 1, WAIT):
        runner.run(operation.id, "do", cursor)
    return operation


def test_only_the_step_that_waits_goes_to_the_slow_queue(accepted):
    operation = waiting(accepted, slow=True)
    slow, quick = "host.toyhost.slow", "host.toyhost"
    assert queues(operation) == [slow, quick, "control"]
    assert {slow, quick} == set(Host(name="toyhost").queues)
    Operation.objects.update(run_after=0)
    assert runner.run(operation.id, "do", WAIT) is Outcome.NEXT
    PROCESS.pick_up(operation.id, TWO)
    assert queues(operation) == [quick, "control"]
    assert not Operation.objects.get(id=operation.id).slow


def test_a_step_that_waits_for_something_short_stays_where_it_is(accepted):
    assert queues(waiting(accepted)) == ["host.toyhost", "host.toyhost", "control"]


def test_an_undo_is_never_slow(accepted):
    operation = waiting(accepted, slow=True)
    Operation.objects.update(state="undoing", cursor=1)
    assert queues(operation) == ["host.toyhost", "control"]


def test_a_slow_step_that_finds_no_place_comes_again_and_counts_no_attempt(accepted):
    operation = waiting(accepted, slow=True)
    Operation.objects.update(run_after=0)
    link = (operation.id, "do", WAIT)
    assert tasks.messages.read_step(of_step(*link), {}) == link
    for _ in range(SLOW_AT_ONCE):
        assert PROCESS.slow_places.acquire(blocking=False)
    try:
        assert tasks._run_slowly(link) is Outcome.STOP
    finally:
        for _ in range(SLOW_AT_ONCE):
            PROCESS.slow_places.release()
    put_off = Operation.objects.get(id=operation.id)
    assert (put_off.cursor, put_off.attempt, put_off.lease_token) == (WAIT, 0, None)
    assert 0 < put_off.run_after - time.time() <= tasks.SLOW_AGAIN_S
    Operation.objects.update(run_after=0)
    assert tasks._run_slowly(link) is Outcome.NEXT
    assert PROCESS.slow_places.acquire(blocking=False), "its place is free again"
    PROCESS.slow_places.release()
