"""What the engine asks of a large ledger goes by an index: no statement walks through all operations."""

import json
import re
import time
import uuid
from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Q

from workers import admission, archive, history, ledger, overtaking, recovery
from workers.models import Operation, State, Subject, utc_now

SUBJECT = uuid.uuid4()
# An index whose every entry may be walked through: it holds only what is active, waits or is leased.
SMALL = {"operation_active", "operation_of_tenant", "operation_waiting", "operation_leased"}
ORDERED = {"operation_ended_newest"}  # read from its begin for as many as are asked for


@contextmanager
def plans():
    """Collect the plan of each statement on operations that the block runs."""
    found: list[tuple[str, str]] = []

    def explain(execute, sql, params, many, context):
        if "workers_operation" in sql and not sql.lstrip().startswith("INSERT"):
            with connection.cursor() as cursor:
                found.append((sql, _plan(cursor.cursor, sql, params)))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        yield found


def _plan(cursor, sql, params) -> str:
    """Return the statement's plan in words; `cursor` is the driver's own, so that asking is not seen."""
    if connection.vendor == "sqlite":
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        return "\n".join(row[-1] for row in cursor.fetchall())
    cursor.execute("SET LOCAL enable_seqscan = off")
    cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
    plan = cursor.fetchone()[0]
    cursor.execute("SET LOCAL enable_seqscan = on")
    return json.dumps(plan)


def walks(plan: str) -> list[str]:
    """Return the parts of a plan that go through every operation."""
    if connection.vendor == "sqlite":
        return [
            line
            for line in plan.splitlines()
            if line.startswith("SCAN")
            and ("workers_operation" in line or line.split()[1] in {"o", "U0"})
            and not any(f"INDEX {name}" in line for name in SMALL | ORDERED)
        ]
    return [str(node) for node in _nodes(json.loads(plan)) if _walks(node)]


def _nodes(plan):
    if isinstance(plan, dict):
        yield plan
    for inner in plan.values() if isinstance(plan, dict) else plan if isinstance(plan, list) else ():
        yield from _nodes(inner)


def _walks(node) -> bool:
    kind = node.get("Node Type", "")
    if kind == "Seq Scan":
        return node.get("Relation Name") == "workers_operation"
    if kind in {"Index Scan", "Index Only Scan", "Bitmap Index Scan"}:
        of_operations = node["Index Name"].startswith(("operation_", "workers_operation"))
        return of_operations and "Index Cond" not in node and node["Index Name"] not in SMALL | ORDERED
    return False


def expire(operation: Operation) -> None:
    Operation.objects.filter(id=operation.id).update(
        state="running", lease_token="t", lease_worker="toyhost:1:1", lease_until=1, host="toyhost"
    )


ASKED: dict[str, Callable[[], object]] = {
    "sweep": recovery.sweep,
    "wake": lambda: recovery.wake(SUBJECT),
    "take over a host": lambda: recovery.take_over_host("toyhost"),
    "take over control": lambda: recovery.take_over_control("control:"),
    "room in the queues": lambda: admission.has_room("p"),
    "admit": admission.admit_next,
    "renew": lambda: ledger.renew(["t", "u"], lease_s=30),
    "give back": lambda: ledger.give_back("t"),
    "delete": lambda: overtaking.accept_overtaking(
        kind="toy_delete", subject=("toy", SUBJECT), project_id="p", user_id="u", params={}
    ),
    "archive": archive.run,
    "actions": lambda: history.newest(Q(subject_id=SUBJECT), limit=1000),
    "a tenant's operations": lambda: history.latest(Q(project_id="p"), limit=100),
    "everybody's operations": lambda: history.latest(Q(), limit=100),
    "one request": lambda: history.find(Q(subject_id=SUBJECT, request_id="r")),
}
# Where another index would serve too, but would lead through all that a tenant ever did.
BY = {
    "room in the queues": {"operation_of_tenant"},
    "admit": {"operation_of_tenant", "operation_waiting"},
    "delete": {"operation_of_tenant"},
    "renew": {"operation_leased"},
    "archive": {"operation_ended"},
    "a tenant's operations": {"operation_ended_of_tenant"},
}


@pytest.mark.parametrize("what", ASKED)
def test_no_statement_walks_through_the_ledger(what, accepted):
    Subject.objects.create(id=SUBJECT, type="toy")
    expire(accepted())
    late = accepted()
    Operation.objects.filter(id=late.id).update(deadline=1)
    waiting = accepted()
    Operation.objects.filter(id=waiting.id).update(admitted=False)
    Operation.objects.bulk_create(
        Operation(
            kind="toy",
            state=State.SUCCEEDED,
            subject_type="toy",
            subject_id=SUBJECT if number < 20 else uuid.uuid4(),
            project_id="p" if number < 20 else f"p{number % 50}",
            finished_at=utc_now() - timedelta(days=30, seconds=number),
            dispatched_at=time.time(),
        )
        for number in range(600)
    )
    if connection.vendor == "postgresql":  # else its plans come from what other tests had in the table
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE workers_operation")
    with plans() as found:
        ASKED[what]()
    assert found
    assert [(sql, walks(plan), plan) for sql, plan in found if walks(plan)] == []
    used = "\n".join(plan for _, plan in found)
    assert {name for name in BY.get(what, ()) if not re.search(rf"\b{name}\b", used)} == set()


def test_a_walk_would_be_seen():
    with plans() as found:
        list(Operation.objects.filter(error="x"))
        list(Operation.objects.filter(state__in=["pending", "failed"], user_id="u"))
    assert [bool(walks(plan)) for _, plan in found] == [True, True]
