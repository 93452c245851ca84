"""What Celery carries: links of chains, and the periodic work of beat. Each is one call into the engine."""

from typing import Any
from uuid import UUID

from celery import Task, shared_task
from celery.exceptions import Ignore

from workers import (
    admission,
    audits,
    clock_steps,
    dispatch,
    events,
    ledger,
    liveness,
    messages,
    pulse,
    recovery,
    runner,
)
from workers.ask import answer as answer_inquiry
from workers.models import Operation
from workers.outcome import Outcome
from workers.process import PROCESS
from workers.route import SLOW

SLOW_AGAIN_S = 1.0


@shared_task(bind=True, name=dispatch.STEP_TASK)
def step(self: "Task[..., None]", *words: Any, **named: Any) -> None:
    """Run one link, and on with its chain for as long as that stays in this queue: a message less for each.

    A link that is stale, early, taken or not understood stops its chain.
    """
    link = messages.read_step(words, named)
    if link is None:
        raise Ignore
    operation = link[0]
    chain: Any = self.request.chain or []  # the last is next
    here = (self.request.delivery_info or {}).get("routing_key")
    outcome = _run_slowly(link) if here and here.endswith(SLOW) else runner.run(*link)
    while outcome is Outcome.NEXT and chain and chain[-1]["options"].get("queue") == here:
        following = chain.pop()
        link = messages.read_step(following["args"], following["kwargs"])
        outcome = runner.run(*link) if link else Outcome.PUBLISH
    if outcome is Outcome.NEXT and chain:
        return
    if outcome in (Outcome.NEXT, Outcome.PUBLISH):
        dispatch.publish_id(operation)
    elif outcome is Outcome.ENDED:
        admission.admit_next()
    elif outcome is Outcome.OVERTAKEN:
        subject = Operation.objects.values_list("subject_id", flat=True).get(id=operation)
        recovery.wake(subject)
    if chain:
        raise Ignore


def _run_slowly(link: messages.Step) -> Outcome:
    """Run a link of the slow queue where one of its few threads is free; else it comes again."""
    if not PROCESS.slow_places.acquire(blocking=False):
        ledger.put_off(link[0], after_s=SLOW_AGAIN_S)
        return Outcome.STOP
    try:
        return runner.run(*link)
    finally:
        PROCESS.slow_places.release()


@shared_task(name="workers.sweep", base=messages.Known)
def sweep() -> None:
    """Move on whatever stands still."""
    recovery.sweep()


@shared_task(name="workers.observe", base=messages.Known)
def observe() -> None:
    """Judge which hosts live, and send an echo through each queue; that it is rung for is beat's heart."""
    clock_steps.notice()
    pulse.note(pulse.BEAT)
    for host, number in liveness.observe():
        echo.apply_async(args=(host, number), queue=f"host.{host}", expires=60)


@shared_task(name="workers.echo", base=messages.Known)
def echo(host: str, number: int) -> None:
    """Note that this host's queue is being read; rooms do what is due on the host."""
    liveness.heard(host, number)
    events.emit("host.echo", host=host)


@shared_task(name="workers.ring", base=messages.Known)
def ring(host: str, event: str) -> None:
    """Tell the rooms on this host that something of theirs has changed."""
    events.emit(event, host=host)


@shared_task(name="workers.inquiry", base=messages.Known)
def inquiry(inquiry_id: str) -> None:
    """Answer a question that a web process put to this host."""
    answer_inquiry(UUID(inquiry_id))


@shared_task(name=audits.TASK, base=messages.Known)
def audit(name: str, host: str, why: str) -> None:
    """Run an audit that is due, or that somebody asked for."""
    audits.run(name, host=host, why=why)


@shared_task(name="workers.periodic", base=messages.Known)
def periodic(name: str) -> None:
    """Run a periodic task that a room registered."""
    recovery.run_periodic(name)
