"""The engine's own invariants."""

import time
from collections.abc import Iterable

from workers import invariants
from workers.invariants import Violation
from workers.models import ACTIVE, Footprint, Host, Operation, Subject, SubjectLock

GRACE_S = 30.0


def _no_lease_outlives_its_operation() -> Iterable[Violation]:
    for operation in Operation.objects.exclude(state__in=ACTIVE).exclude(lease_token=None):
        if operation.lease_until < time.time() - GRACE_S:
            yield Violation(
                f"operation {operation.id} ({operation.state}) still holds a lease",
                "computecloud doctor --fix",
            )


def _no_operation_stands_still() -> Iterable[Violation]:
    for operation in Operation.objects.filter(state__in=ACTIVE, deadline__lt=time.time() - GRACE_S):
        yield Violation(
            f"operation {operation.id} ({operation.kind}) is past its deadline",
            "check that beat and a control worker run: computecloud status",
        )


def _locks_belong_to_active_operations() -> Iterable[Violation]:
    for lock in SubjectLock.objects.exclude(operation__state__in=ACTIVE).filter(operation__lease_token=None):
        yield Violation(
            f"operation {lock.operation_id} has ended and still locks {lock.subject_id}",
            "computecloud doctor --fix",
        )


def _holders_are_active() -> Iterable[Violation]:
    active = Operation.objects.filter(state__in=ACTIVE).values("id")
    for subject in Subject.objects.exclude(holder=None).exclude(holder__in=active):
        yield Violation(
            f"{subject} is held by operation {subject.holder}, which has ended", "computecloud doctor --fix"
        )


def _footprints_have_subjects() -> Iterable[Violation]:
    for footprint in Footprint.objects.exclude(subject_id__in=Subject.objects.values("id")):
        yield Violation(
            f"{footprint} belongs to {footprint.subject_id}, which is gone", "computecloud doctor --fix"
        )


def _hosts_read_their_queues() -> Iterable[Violation]:
    for host in Host.objects.filter(alive=True, forced_down=False, echo_sent__gt=0):
        if host.echo_sent - host.echo_heard > 3:
            yield Violation(
                f"host {host.name} lives but does not read its queue", f"restart the worker of {host.name}"
            )


invariants.register("no lease outlives its operation", _no_lease_outlives_its_operation)
invariants.register("no operation is past its deadline", _no_operation_stands_still)
invariants.register("locks belong to active operations", _locks_belong_to_active_operations)
invariants.register("subjects are held by active operations", _holders_are_active)
invariants.register("footprints belong to subjects", _footprints_have_subjects)
invariants.register("living hosts read their queues", _hosts_read_their_queues)
