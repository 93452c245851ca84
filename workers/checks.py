"""The engine's own invariants, each with what mends it."""

from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from django.db.models import Count, Exists, F, OuterRef, Q
from kombu.exceptions import OperationalError as BrokerError

from workers import clock, idempotency, invariants, ledger, pulse, queues, recovery, workflow
from workers.invariants import Violation
from workers.models import (
    ACTIVE,
    IS_ACTIVE,
    ArchivedOperation,
    Footprint,
    Host,
    IdempotencyKey,
    Inquiry,
    Operation,
    Secret,
    State,
    Subject,
    SubjectLock,
)
from workers.workflow import CONTROL

GRACE_S = 30.0
UNRUNG_S = 3 * recovery.RING_ANYWAY_S


def _no_lease_outlives_its_operation() -> Iterable[Violation]:
    for operation in Operation.objects.exclude(state__in=ACTIVE).exclude(lease_token=None):
        if operation.lease_until < clock.now() - GRACE_S:
            token = str(operation.lease_token)
            yield Violation(
                f"operation {operation.id} ({operation.state}) still holds a lease",
                fix=partial(ledger.give_back, token),
            )


def _no_operation_stands_still() -> Iterable[Violation]:
    for operation in Operation.objects.filter(IS_ACTIVE, admitted=True, deadline__lt=clock.now() - GRACE_S):
        yield Violation(
            f"operation {operation.id} ({operation.kind}) is past its deadline",
            "computecloud status: check that beat and a control worker run",
        )


def _leases_are_renewed() -> Iterable[Violation]:
    late = Operation.objects.filter(
        IS_ACTIVE, lease_token__isnull=False, lease_until__lt=clock.now() - GRACE_S
    )
    for operation in late:
        yield Violation(
            f"worker {operation.lease_worker} has a lease on operation {operation.id} and does not renew it: it is "
            "dead, and nobody sweeps",
            fix=partial(recovery.free, operation, f"the lease of {operation.lease_worker} ran out"),
        )


def _what_is_due_is_published() -> Iterable[Violation]:
    now = clock.now()
    due = Operation.objects.filter(
        IS_ACTIVE, lease_token=None, admitted=True, run_after__lte=now, dispatched_at__lt=now - UNRUNG_S
    )
    for operation in due.filter(kind__in=workflow.registered()):
        yield Violation(
            f"operation {operation.id} ({operation.kind}) is due and was not published for {UNRUNG_S:.0f} s: nobody "
            "sweeps, or the broker takes nothing",
            "computecloud status: check that the broker, beat and a control worker run",
        )


def _beat_is_heard() -> Iterable[Violation]:
    age_s = pulse.age_s(pulse.BEAT)  # none: it was not heard yet, as on a cloud that has just begun
    if age_s is not None and age_s > pulse.BEAT_SILENT_S:
        yield Violation(
            f"beat was last heard {age_s:.0f} s ago: what stands still is moved on by nobody, and no host is watched",
            "computecloud status: check that beat and a control worker run",
        )


def _who_waits_has_others_before() -> Iterable[Violation]:
    """A tenant's operation waits for its turn only while another of the tenant's is in the queues."""
    busy = Operation.objects.filter(project_id=OuterRef("project_id"), admitted=True, state__in=ACTIVE)
    waiting = Operation.objects.filter(
        admitted=False, state=State.PENDING, dispatched_at__lt=clock.now() - GRACE_S
    )
    for operation in waiting.exclude(Exists(busy)):
        yield Violation(
            f"operation {operation.id} ({operation.kind}) waits for its turn, and its tenant has no other: nobody "
            "sweeps",
            fix=recovery.sweep,
        )


def _sharers_are_counted() -> Iterable[Violation]:
    shared = Count("locks", filter=Q(locks__exclusive=False))
    miscounted = Subject.objects.filter(deleting=False).annotate(shared=shared).exclude(sharers=F("shared"))
    for subject in miscounted:
        counted = Subject.objects.filter(id=subject.id, sharers=subject.sharers)
        yield Violation(
            f"{subject} counts {subject.sharers} operations that share it, there are {subject.shared}",
            fix=partial(counted.update, sharers=subject.shared),
        )


def _operations_are_in_one_place() -> Iterable[Violation]:
    twice = ArchivedOperation.objects.filter(Exists(Operation.objects.filter(id=OuterRef("id"))))
    for key in twice.values_list("id", flat=True):
        copy = ArchivedOperation.objects.filter(id=key)
        yield Violation(f"operation {key} is in the ledger and in the archive", fix=copy.delete)


def _idempotency_keys_expire() -> Iterable[Violation]:
    late = IdempotencyKey.objects.filter(created_at__lt=idempotency.oldest(spare_h=1.0)).count()
    if late:
        yield Violation(
            f"{late} Idempotency-Keys are older than they may be: beat does not have them removed",
            fix=idempotency.forget_old,
        )


def _locks_belong_to_active_operations() -> Iterable[Violation]:
    for lock in SubjectLock.objects.exclude(operation__state__in=ACTIVE).filter(operation__lease_token=None):
        key = lock.operation_id
        yield Violation(
            f"operation {key} has ended and still locks {lock.subject_id}",
            fix=partial(ledger.release_subjects, key),
        )


def _holders_are_active() -> Iterable[Violation]:
    active = Operation.objects.filter(id=OuterRef("holder"), state__in=ACTIVE)
    for subject in Subject.objects.exclude(holder=None).exclude(Exists(active)):
        held = Subject.objects.filter(id=subject.id, holder=subject.holder)
        yield Violation(
            f"{subject} is held by operation {subject.holder}, which has ended",
            fix=partial(held.update, holder=None),
        )


def _what_goes_has_an_operation() -> Iterable[Violation]:
    active = Operation.objects.filter(subject_id=OuterRef("id"), state__in=ACTIVE)
    going = Subject.objects.filter(~Exists(active), deleting=True)
    for subject in going:
        yield Violation(
            f"{subject} is being deleted and no operation does it: every request to change it is answered with 404",
            fix=partial(going.filter(id=subject.id).update, deleting=False),
        )


def _secrets_belong_to_active_operations() -> Iterable[Violation]:
    for secret in Secret.objects.exclude(operation__state__in=ACTIVE):
        yield Violation(f"a secret of ended operation {secret.operation_id} is still kept", fix=secret.delete)


def _footprints_have_subjects() -> Iterable[Violation]:
    down = Host.objects.exclude(alive=True, forced_down=False).values("name")
    orphans = Footprint.objects.exclude(subject_id__in=Subject.objects.values("id"))
    for footprint in orphans.exclude(host__in=down):
        yield Violation(
            f"{footprint} belongs to {footprint.subject_id}, which is gone",
            f"restart the worker of host {footprint.host}: it cleans up as it takes its host",
        )


def _hosts_read_their_queues() -> Iterable[Violation]:
    for host in Host.objects.filter(alive=True, forced_down=False, echo_sent__gt=0):
        if host.echo_sent - host.echo_heard > 3:
            yield Violation(
                f"host {host.name} lives but does not read its queue", f"restart the worker of {host.name}"
            )


def _broker_answers() -> Iterable[Violation]:
    try:
        queues.look(CONTROL)
    except BrokerError as error:
        yield Violation(
            f"the broker does not answer: {error}",
            "start it, or set COMPUTECLOUD_BROKER_URL to where it is; what waits goes on by itself then",
        )


def _queues_belong_to_hosts() -> Iterable[Violation]:
    """RabbitMQ shows no list of queues over its protocol, so there this finds nothing: see its own tools."""
    known = {CONTROL, *(name for host in Host.objects.all() for name in host.queues)}
    with suppress(BrokerError):
        for queue in queues.listed() or []:
            if queue.name not in known:
                yield Violation(
                    f"queue {queue.name} holds {queue.messages} messages and belongs to no host",
                    fix=partial(queues.remove, queue.name),
                )


def _queues_have_readers() -> Iterable[Violation]:
    """Redis does not tell who reads a list: there the echo through each host's queue stands for it."""
    alive = Host.objects.filter(alive=True, forced_down=False)
    with suppress(BrokerError):
        for name in [CONTROL, *(name for host in alive for name in host.queues)]:
            queue = queues.look(name)
            if queue is not None and queue.readers == 0:
                yield Violation(
                    f"nobody reads queue {name}, in which {queue.messages} messages wait",
                    "computecloud status, and start the worker that reads it",
                )


def _inquiries_are_answered() -> Iterable[Violation]:
    for inquiry in Inquiry.objects.all():
        if clock.now() - inquiry.asked_at.timestamp() > 5 * GRACE_S:
            yield Violation(f"{inquiry} was never taken away", fix=inquiry.delete)


invariants.register("no lease outlives its operation", _no_lease_outlives_its_operation)
invariants.register("no operation is past its deadline", _no_operation_stands_still)
invariants.register("leases are renewed by who holds them", _leases_are_renewed)
invariants.register("what is due is published", _what_is_due_is_published)
invariants.register("beat rings and a control worker hears it", _beat_is_heard)
invariants.register("operations wait for their turn behind others", _who_waits_has_others_before)
invariants.register("subjects count who shares them", _sharers_are_counted)
invariants.register("operations are in the ledger or in the archive", _operations_are_in_one_place)
invariants.register("idempotency keys expire", _idempotency_keys_expire)
invariants.register("locks belong to active operations", _locks_belong_to_active_operations)
invariants.register("subjects are held by active operations", _holders_are_active)
invariants.register("subjects that are deleted have operations", _what_goes_has_an_operation)
invariants.register("secrets belong to active operations", _secrets_belong_to_active_operations)
invariants.register("footprints belong to subjects", _footprints_have_subjects)
invariants.register("living hosts read their queues", _hosts_read_their_queues)
invariants.register("the broker answers", _broker_answers)
invariants.register("queues belong to hosts", _queues_belong_to_hosts)
invariants.register("queues have readers", _queues_have_readers)
invariants.register("inquiries are answered", _inquiries_are_answered)
