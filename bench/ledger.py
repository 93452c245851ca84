"""What the engine asks of its ledger, with no past and with a million operations behind it.

In one process, without a cloud. All of the past is one tenant's, which is the worst case for its share of the queues.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine import prepare
from figures import Figures, parser

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

ACTIVE = 200  # operations under way, a tenth of them waiting for their turn
PROJECT = "p" * 32
SECOND_S = 1e3

NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n",
    "postgresql": "SELECT generate_series(1, {count}) AS i",
}
ID = {
    "sqlite": "printf('%032x', {first} + i)",
    "postgresql": "lpad(to_hex({first} + i), 32, '0')::uuid",
}
MOMENT = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%S', 'now', '-' || (i / 10 + {age_s}) || ' seconds')",
    "postgresql": "now() - make_interval(secs => i / 10 + {age_s})",
}
SHARED = (
    "id, kind, state, subject_type, subject_id, project_id, user_id, request_id, params, results, round,"
    " cancelled_by, error, created_at, updated_at, finished_at"
)
VALUES = (
    "{id}, 'create', 'succeeded', 'instance', {subject}, '{project}', 'u', 'req-' || i, '{{}}',"
    ' \'{{"place": {{"node": "node-1", "host": "host-1"}}}}\', 1, \'\', \'\', {at}, {at}, {at}'
)
LEDGER_ONLY = (
    ", cursor, attempt, admitted, lease_worker, lease_until, leased_at, dispatched_at, run_after, deadline, rings,"
    " waits_for"
)


def fill(count: int, table: str, *, first: int, age_s: int) -> None:
    """Write `count` ended operations, ten to a subject, ten a second, the last of them age_s old."""
    from django.db import connection

    vendor = connection.vendor
    at = MOMENT[vendor].format(age_s=age_s)
    subject = ID[vendor].format(first=0).replace("+ i", "+ i / 10")
    values = VALUES.format(id=ID[vendor].format(first=first), subject=subject, project=PROJECT, at=at)
    yes = "1" if vendor == "sqlite" else "true"
    columns, more = (
        (SHARED + LEDGER_ONLY, f", 6, 1, {yes}, 'bench:1:1', 0, 0, 0, 0, 0, 0, ''")
        if table == "workers_operation"
        else (SHARED + ", runs", ", '[]'")
    )
    statement = f"INSERT INTO {table} ({columns}) SELECT {values}{more} FROM ({NUMBERS[vendor].format(count=count)}) n"
    with connection.cursor() as cursor:
        cursor.execute(statement)
        if table == "workers_operation":
            cursor.execute(
                "INSERT INTO workers_steprun (operation_id, step, undo, attempt, worker, host, started_at, finished_at,"
                " outcome, error, traceback) SELECT id, 'start', NOT admitted, 1, 'w', 'h', created_at, created_at,"
                " 'success', '', '' FROM workers_operation WHERE state = 'succeeded'"
            )
        if vendor == "postgresql":
            cursor.execute(f"ANALYZE {table}")
            cursor.execute("ANALYZE workers_steprun")


def make_active() -> None:
    """Write what is under way: leased, published, and waiting for its tenant's turn."""
    from workers.models import Operation, State

    now = time.time()
    Operation.objects.bulk_create(
        [
            Operation(
                kind="create",
                subject_type="instance",
                subject_id=uuid.uuid4(),
                project_id=PROJECT if number % 2 else f"{number:032x}",
                state=State.RUNNING if number % 10 else State.PENDING,
                admitted=bool(number % 10),
                lease_token=f"{number:032x}" if number % 3 == 0 and number % 10 else None,
                lease_until=now + 25,
                dispatched_at=now,
                deadline=now + 3_600,
            )
            for number in range(ACTIVE)
        ]
    )


def asked() -> dict[str, Callable[[], object]]:
    """Return what is measured, by name."""
    from django.db import transaction
    from django.db.models import Q

    from workers import acceptance, admission, archive, history, ledger, recovery
    from workers.models import utc_now

    tokens = [f"{number:032x}" for number in range(0, 30, 3)]
    subject = uuid.UUID(int=1_000)

    def accept() -> None:
        with transaction.atomic():
            acceptance.accept(
                kind="create", subject=("instance", uuid.uuid4()), project_id=PROJECT, user_id="u", params={}
            )
            transaction.set_rollback(True)

    return {
        "sweep": recovery.sweep,
        "admission: room for one more": lambda: admission.has_room(PROJECT),
        "admission: whose turn": admission.admit_next,
        "accept an operation": accept,
        "renew ten leases": lambda: ledger.renew(tokens, lease_s=25),
        "give back a lease that is gone": lambda: ledger.give_back("f" * 32),
        "what a host's new worker asks": lambda: recovery.take_over_host("nobody"),
        "list a server's actions": lambda: history.newest(Q(subject_id=subject), limit=1_000),
        "show one action": lambda: history.find(Q(subject_id=subject, request_id="req-10005")),
        "list a tenant's operations": lambda: history.latest(Q(project_id=PROJECT), limit=100),
        "list everybody's operations": lambda: history.latest(Q(), limit=100),
        "archive: look at 200": lambda: archive.look(utc_now()),
    }


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Return, for all that is asked, the median of its time and of its slowest statement."""
    from django.db import connection

    from workers.models import Operation

    # The sweep lets no lease lie further ahead than a worker could have renewed it: those of before are over by now.
    Operation.objects.exclude(lease_token=None).update(lease_until=time.time() + 25)
    found: dict[str, dict[str, float]] = {}
    for name, ask in asked().items():
        totals, slowest = [], []
        for _ in range(rounds):
            statements: list[float] = []

            def timed(execute: Any, *rest: Any, taken: list[float] = statements) -> Any:
                began = time.perf_counter()
                try:
                    return execute(*rest)
                finally:
                    taken.append(time.perf_counter() - began)

            began = time.perf_counter()
            with connection.execute_wrapper(timed):
                ask()
            totals.append((time.perf_counter() - began) * SECOND_S)
            slowest.append(max(statements, default=0.0) * SECOND_S)
        found[name] = {
            "ms": statistics.median(totals),
            "slowest statement ms": statistics.median(slowest),
            "statements": len(statements),
        }
    return found


def archive_all(seconds: int) -> dict[str, float]:
    """Archive for so long; returns how many operations a second that was."""
    from workers import archive
    from workers.models import ArchivedOperation

    before, began = ArchivedOperation.objects.count(), time.perf_counter()
    while time.perf_counter() - began < seconds:
        archive.run()
    moved = ArchivedOperation.objects.count() - before
    return {"operations/s": moved / (time.perf_counter() - began)}


def main() -> None:
    """Measure, and print what was found."""
    options = parser(__doc__ or "")
    options.add_argument(
        "--operations", type=int, default=1_000_000, help="in the ledger, and as many archived"
    )
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument(
        "--database-url", default="", help="postgresql://…; empty: SQLite in a temporary folder"
    )
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="computecloud-bench-"))
    try:
        os.environ["COMPUTECLOUD_ARCHIVE_AFTER_DAYS"] = "0"
        prepare(folder, given.database_url)
        make_active()
        empty = measure(given.rounds)
        fill(given.operations, "workers_operation", first=1 << 40, age_s=0)
        fill(given.operations, "workers_archivedoperation", first=1 << 44, age_s=given.operations // 10)
        full = measure(given.rounds)
        rate = archive_all(5)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures = Figures(
        f"The ledger with {ACTIVE} active operations; with {given.operations:,} ended beside, and as many archived"
    )
    for name, row in full.items():
        figures.add(name, **{"empty ms": empty[name]["ms"]}, **row)
    figures.add("archive: move", **rate)
    figures.show(given.json)


if __name__ == "__main__":
    main()
