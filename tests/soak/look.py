"""What is looked at while a soak runs: the ledger and the fake hosts, from outside, by SQL alone."""

import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cloud.cloud import Cloud

GRACE_S = 20.0  # the sweeper comes every 2 s; locks of the database and restarts of workers are under way
LOOK_EVERY_S = 2.0
FOLLOW_EVERY_S = 0.25
ACTIVE = "state IN ('pending', 'running', 'undoing')"

# Each says what must never be seen, in one snapshot of the database.
NEVER = {
    "an operation is past its deadline": f"""
        SELECT kind || ' ' || id || ' ' || state || ' at step ' || cursor FROM workers_operation
        WHERE {ACTIVE} AND admitted AND deadline < :now - {GRACE_S}""",
    "a server has a task, and nobody works on it": f"""
        SELECT i.id || ' ' || i.vm_state || ' ' || i.task_state FROM instances_instance i
        WHERE NOT i.deleted AND i.task_state IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM workers_operation o WHERE o.subject_id = i.id AND {ACTIVE})""",
    "two steps of one server run at once": """
        SELECT subject_id FROM workers_operation WHERE lease_token IS NOT NULL
        GROUP BY subject_id HAVING count(*) > 1""",
    "a project's usage is not the sum of its charges": """
        SELECT u.project_id || ': ' || u.instances || ' instances, ' || u.cores || ' cores'
        FROM quotas_projectusage u LEFT JOIN
            (SELECT project_id, sum(instances) n, sum(cores) c, sum(ram_mib) m FROM quotas_charge GROUP BY 1) s
        ON s.project_id = u.project_id
        WHERE u.instances <> coalesce(s.n, 0) OR u.cores <> coalesce(s.c, 0) OR u.ram_mib <> coalesce(s.m, 0)""",
    "a node's used resources are not the sum of its claims": """
        SELECT v.node_id || ' ' || v.resource_class || ': ' || v.used FROM scheduling_inventory v
        WHERE v.used <> (SELECT coalesce(sum(a.amount), 0) FROM scheduling_allocation a
                         WHERE a.node_id = v.node_id AND a.resource_class = v.resource_class)""",
    "a server has two ports for one NIC": """
        SELECT instance_id FROM networking_port WHERE instance_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1""",
    "a server has claims on two nodes": """
        SELECT consumer_id FROM scheduling_allocation GROUP BY 1 HAVING count(DISTINCT node_id) > 1""",
    "a server that is gone is charged": """
        SELECT consumer_id FROM quotas_charge WHERE consumer_id NOT IN
            (SELECT id FROM instances_instance WHERE NOT deleted)""",
    "a server that is there is not charged": """
        SELECT id FROM instances_instance WHERE NOT deleted AND id NOT IN (SELECT consumer_id FROM quotas_charge)""",
}
# The same, in a moment in which no operation is active.
NEVER_WHEN_QUIET = {
    "an operation is active": f"SELECT kind || ' ' || id || ' ' || state FROM workers_operation WHERE {ACTIVE}",
    "a lease is held": "SELECT kind || ' ' || id || ' ' || state FROM workers_operation WHERE lease_token IS NOT NULL",
    "a subject is locked": "SELECT subject_id FROM workers_subjectlock",
    "a subject is held": "SELECT id FROM workers_subject WHERE holder IS NOT NULL OR sharers <> 0",
    "a secret is kept": "SELECT operation_id FROM workers_secret",
    "a footprint has no subject": """
        SELECT kind || ' of ' || subject_id || ' on ' || host FROM workers_footprint
        WHERE subject_id NOT IN (SELECT id FROM workers_subject)""",
    "a server that is well has no claim": """
        SELECT id FROM instances_instance WHERE NOT deleted AND vm_state <> 'error'
            AND id NOT IN (SELECT consumer_id FROM scheduling_allocation)""",
    "a claim has no server": """
        SELECT consumer_id FROM scheduling_allocation WHERE consumer_id NOT IN
            (SELECT id FROM instances_instance WHERE NOT deleted)""",
}


@dataclass
class Ledger:
    """The cloud's database, read only; each question is asked in a snapshot of its own."""

    file: Path

    def ask(self, question: str, **values: Any) -> list[tuple[Any, ...]]:
        """Return the rows."""
        with closing(self._open()) as connection:
            return list(connection.execute(question, values))

    def broken(self, rules: dict[str, str]) -> list[str]:
        """Return a line for each row that must not be there; all questions see one snapshot."""
        with closing(self._open()) as connection:
            connection.execute("BEGIN")
            now = {"now": time.time()}
            return [
                f"{rule}: {row[0]}" for rule, sql in rules.items() for row in connection.execute(sql, now)
            ]

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=30, isolation_level=None)


RUNS_AS = {"active": "running", "stopped": "off", "paused": "paused", "suspended": "suspended"}
FAKE_POWERS = {1: "running", 3: "paused", 7: "suspended"}  # hypervisors.driver.PowerState


def fake_guests(state: Path) -> list[tuple[str, str]]:
    """Return (uuid, how it stands) of every guest on every fake host."""
    found = []
    for file in (state / "hosts").glob("*/fake/guests.sqlite3"):
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as store:
            found += [
                (uuid, FAKE_POWERS.get(power, "off"))
                for uuid, power in store.execute("SELECT uuid, power FROM guest WHERE defined")
            ]
    return found


def real_guests() -> list[tuple[str, str]]:
    """Return (uuid, how it stands) of every guest that libvirt has."""

    def listed(*which: str) -> list[str]:
        command = ["virsh", "-c", "qemu:///system", "list", "--uuid", *which]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()

    saved, active, paused = listed("--inactive", "--with-managed-save"), listed(), listed("--state-paused")
    stands = dict.fromkeys(saved, "suspended") | dict.fromkeys(active, "running")
    stands |= dict.fromkeys(paused, "paused")
    return [(uuid.replace("-", ""), stands.get(uuid, "off")) for uuid in listed("--all")]


def misplaced(cloud: Cloud, ledger: Ledger) -> list[str]:
    """Return what differs between the servers that are there and the guests that are there, in a quiet moment."""
    servers = dict(ledger.ask("SELECT id, vm_state FROM instances_instance WHERE NOT deleted"))
    guests = fake_guests(cloud.state) if cloud.driver == "fake" else real_guests()
    names = [uuid for uuid, _ in guests]
    lines = [f"guest {uuid} is there {names.count(uuid)} times" for uuid in {*names} if names.count(uuid) > 1]
    lines += [f"guest {uuid} has no server" for uuid in names if uuid not in servers]
    stands = dict(guests)
    for uuid, vm_state in servers.items():
        if vm_state in RUNS_AS and stands.get(uuid) != RUNS_AS[vm_state]:
            lines.append(f"server {uuid} is {vm_state}, its guest {stands.get(uuid, 'not there')}")
    return lines


@dataclass
class Follower:
    """Operations that a fault hit, followed until each has gone on: how long that took is the time to recover."""

    ledger: Ledger
    times_s: dict[str, list[float]] = field(default_factory=dict)
    slowest: list[tuple[float, str, str]] = field(default_factory=list)  # s, fault, operation as it was
    _followed: list[tuple[str, float, str, tuple[Any, ...]]] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def leased_by(self, pid: int) -> list[tuple[Any, ...]]:
        """Return the operations whose step this process runs."""
        sql = f"SELECT id, state, cursor, lease_token FROM workers_operation WHERE {ACTIVE} AND lease_token IS NOT NULL"
        return self.ledger.ask(f"{sql} AND lease_worker LIKE :worker", worker=f"%:{pid}")

    def waiting(self) -> list[tuple[Any, ...]]:
        """Return the operations that should be going on, and that no worker has at this moment."""
        sql = f"SELECT id, state, cursor, lease_token FROM workers_operation WHERE {ACTIVE} AND lease_token IS NULL"
        return self.ledger.ask(f"{sql} AND admitted AND run_after <= :now", now=time.time())

    def follow(self, fault: str, operations: Iterable[tuple[Any, ...]]) -> None:
        """Measure from now on how long each of these takes to go on."""
        now = time.monotonic()
        with self._guard:
            self._followed += [(fault, now, row[0], tuple(row[1:])) for row in operations]

    def look(self) -> None:
        """Note which of the followed have gone on."""
        with self._guard:
            followed = list(self._followed)
        if not followed:
            return
        marks = ", ".join(f"'{one[2]}'" for one in followed)
        sql = f"SELECT id, state, cursor, lease_token, run_after FROM workers_operation WHERE id IN ({marks})"
        rows = {row[0]: row[1:] for row in self.ledger.ask(sql)}
        now = time.monotonic()
        for one in followed:
            if _went_on(one[3], rows.get(one[2])):
                with self._guard:
                    self._followed.remove(one)
                    self.times_s.setdefault(one[0], []).append(now - one[1])
                    slow = (round(now - one[1], 1), one[0], f"{one[2]} {one[3][0]} at {one[3][1]}")
                    self.slowest = sorted([*self.slowest, slow], reverse=True)[:10]


def _went_on(then: tuple[Any, ...], now: tuple[Any, ...] | None) -> bool:
    if now is None:
        return True
    state, cursor, token, run_after = now
    if (state, cursor) != then[:2]:
        return True
    return (token is not None and token != then[2]) or run_after > time.time()


@dataclass
class Watch:
    """Looks all the time; keeps what it saw that must never be."""

    cloud: Cloud
    ledger: Ledger
    follower: Follower
    tell: Callable[[str], None]
    broken: list[str] = field(default_factory=list)
    looks: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin."""
        for work, every_s in ((self.look, LOOK_EVERY_S), (self.follower.look, FOLLOW_EVERY_S)):
            self._threads.append(threading.Thread(target=self._every, args=(work, every_s), daemon=True))
            self._threads[-1].start()

    def stop(self) -> None:
        """End; what happens from now on is not watched."""
        self._ended.set()
        for thread in self._threads:
            thread.join(30)

    def look(self) -> None:
        """Look once."""
        self.note(self.ledger.broken(NEVER))
        if self.cloud.driver == "fake" and (twice := self._twice()):  # one may move between two looks
            self.note([f"a server has two guests: {name}" for name in twice & self._twice()])
        self.looks += 1

    def _twice(self) -> set[str]:
        names = [uuid for uuid, _ in fake_guests(self.cloud.state)]
        return {name for name in names if names.count(name) > 1}

    def note(self, lines: Iterable[str]) -> None:
        """Keep what must never be, once."""
        for line in lines:
            if line not in self.broken:
                self.broken.append(line)
                self.tell(f"BROKEN: {line}")

    def _every(self, work: Any, every_s: float) -> None:
        while not self._ended.wait(every_s):
            with suppress(
                sqlite3.OperationalError
            ):  # the database is locked by a fault; the next look will see
                work()
