"""One leftover of each kind is planted, and doctor's checks name it; --fix removes what it can."""

import time
import uuid

import pytest

from quotas.models import Charge, ProjectUsage
from workers import invariants
from workers.models import Footprint, Host, Inquiry, Operation, Secret, Subject, SubjectLock


def found(name: str) -> list[str]:
    return [violation.what for violation in invariants.registered()[name]()]


def ended_operation(**columns) -> Operation:
    return Operation.objects.create(
        kind="toy", subject_type="toy", subject_id=uuid.uuid4(), **({"state": "succeeded"} | columns)
    )


def plant_lease():
    ended_operation(lease_token="t", lease_until=1)


def plant_standstill():
    ended_operation(state="running", deadline=1)


def plant_lock():
    operation = ended_operation()
    subject = Subject.objects.create(id=operation.subject_id, type="toy")
    SubjectLock.objects.create(operation=operation, subject=subject, epoch=1)


def plant_holder():
    Subject.objects.create(id=uuid.uuid4(), type="toy", holder=uuid.uuid4())


def plant_secret():
    Secret.objects.create(operation=ended_operation(), ciphertext=b"x")


def plant_footprint():
    Footprint.objects.create(subject_id=uuid.uuid4(), operation_id=uuid.uuid4(), step="s", kind="k", name="n")


def plant_deaf_host():
    Host.objects.create(name="deaf", alive=True, echo_sent=9)


def plant_inquiry():
    inquiry = Inquiry.objects.create(host="h", kind="k")
    Inquiry.objects.update(
        asked_at=inquiry.asked_at.fromtimestamp(time.time() - 999, inquiry.asked_at.tzinfo)
    )


def plant_counter():
    ProjectUsage.objects.create(project_id="p", cores=3)


def plant_charge():
    ProjectUsage.objects.create(project_id="p", instances=1, cores=1, ram_mib=1)
    Charge.objects.create(consumer_id=uuid.uuid4(), project_id="p", instances=1, cores=1, ram_mib=1)


LEFTOVERS = {
    "no lease outlives its operation": plant_lease,
    "no operation is past its deadline": plant_standstill,
    "locks belong to active operations": plant_lock,
    "subjects are held by active operations": plant_holder,
    "secrets belong to active operations": plant_secret,
    "footprints belong to subjects": plant_footprint,
    "living hosts read their queues": plant_deaf_host,
    "inquiries are answered": plant_inquiry,
    "quota counters are the sums of charges": plant_counter,
    "charges belong to things that exist": plant_charge,
}


@pytest.mark.parametrize("name", LEFTOVERS)
def test_a_planted_leftover_is_named(name: str):
    assert found(name) == []
    LEFTOVERS[name]()
    assert len(found(name)) == 1


@pytest.mark.parametrize("name", LEFTOVERS)
def test_what_can_be_fixed_is_gone_after_the_fix(name: str):
    LEFTOVERS[name]()
    violations = list(invariants.registered()[name]())
    fixable = [violation.fix for violation in violations if violation.fix is not None]
    for fix in fixable:
        fix()
    if fixable:
        assert found(name) == []
    else:
        assert not violations[0].mend.endswith("--fix")
