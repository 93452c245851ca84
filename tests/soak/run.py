"""One soak: a cloud of real processes, its tenants, its faults, who watches it, and the count at the end."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.cloud import leftovers
from tests.cloud.cloud import Cloud
from tests.soak.look import ACTIVE, NEVER, NEVER_WHEN_QUIET, Follower, Ledger, Watch, misplaced
from tests.soak.plan import Event
from tests.soak.strikes import Strikes
from tests.soak.traffic import Traffic, make_tenants

QUIET_S = 240.0  # an operation has 180 s, and its undo as long
SETTLE_S = 60.0
BAITS_S = 300.0
BAITS = (
    "create", "stop", "start", "pause", "unpause", "suspend", "resume", "reboot_soft", "reboot_hard", "delete",
)  # fmt: skip
BAIT_S = 30.0  # one is asked for by then, and in as much again it is done, unless a fault holds it
TELL_EVERY_S = 10.0
MOST_THREADS = 200
MISSED_SHARE = (
    0.01  # of the faults may find nobody, such as one for a process that another fault has just ended
)


@dataclass
class Soak:
    """A soak in the making; `events` is its schedule."""

    cloud: Cloud
    events: list[Event]
    tell: Callable[[str], None]
    behind_s: float = 0.0  # how far the schedule's clock is behind the wall: quiet moments
    threads: list[threading.Thread] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    doctor: str = ""
    seconds: float = 0.0
    ended: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        """Run it from the snapshot before to the comparison after."""
        self.ledger = Ledger(self.cloud.state / "computecloud.sqlite3")
        self.follower = Follower(self.ledger)
        self.traffic = Traffic(self.cloud, make_tenants(self.cloud))
        self.strikes = Strikes(self.cloud, self.ledger, self.follower)
        self.watch = Watch(self.cloud, self.ledger, self.follower, self.tell)
        before, ended_before = leftovers.snapshot(self.cloud.state), self._ended()
        self.watch.start()
        began = time.monotonic()
        try:
            self._go_through(began)
            self.seconds = time.monotonic() - began
            self.tell("the schedule is done: deleting what is there")
            self.cloud.await_running()
            self.watch.note(self.traffic.delete_all(QUIET_S))
            self._quiet("at the end")
        finally:
            self._disarm()
            self.watch.stop()
        self.watch.note(self.traffic.doubled())
        self.ended = self._ended() - ended_before
        self.attempts = Counter(
            dict(self.ledger.ask("SELECT outcome, count(*) FROM workers_steprun GROUP BY 1"))
        )
        self.differences = self.cloud.settled(before, SETTLE_S)
        self.doctor = self._ask_doctor()

    def _go_through(self, began: float) -> None:
        self.traffic.announce(self.events)
        teller = threading.Thread(target=self._tell_how_it_goes, args=(began,), daemon=True)
        teller.start()
        for event in self.events:
            time.sleep(max(0.0, began + self.behind_s + event.at_s - time.monotonic()))
            if event.kind == "quiet":
                paused = time.monotonic()
                self._quiet(f"at {event.at_s:.0f} s")
                self.behind_s += time.monotonic() - paused
            else:
                self._start(self.traffic.do if event.kind == "operation" else self.strikes.do, event)
        self._bait()
        self._disarm()

    def _start(self, work: Callable[[Event], None], event: Event) -> None:
        self.threads = [thread for thread in self.threads if thread.is_alive()]
        while len(self.threads) >= MOST_THREADS:
            time.sleep(0.1)
            self.threads = [thread for thread in self.threads if thread.is_alive()]
        self.threads.append(threading.Thread(target=work, args=(event,), daemon=True, name=event.kind))
        self.threads[-1].start()

    def _bait(self) -> None:
        """Have gates reached that nobody has come to yet."""
        deadline = time.monotonic() + BAITS_S
        number = 0
        while +self.strikes.armed and time.monotonic() < deadline:
            number += 1
            self.traffic.announce([_bait(number, "create")])
            for what in BAITS:
                bait = _bait(number, what)
                self._start(self.traffic.do, bait)
                self.threads[-1].join(BAIT_S)
                self._until_none(partial(self._busy, bait.details["server"]), BAIT_S)

    def _busy(self, name: str) -> list[str]:
        """Return what is being done to the servers of this name."""
        sql = "SELECT task_state FROM instances_instance WHERE name = :name AND NOT deleted AND task_state IS NOT NULL"
        return [state for (state,) in self.ledger.ask(sql, name=name)]

    def _disarm(self) -> None:
        self.strikes.disarmed.set()
        for thread in list(self.threads):
            thread.join(QUIET_S)
        self.cloud.gates.open_all()

    def _quiet(self, when: str) -> None:
        """Wait until nobody asks for anything and nothing is active; then all must be exact."""
        asking = [thread for thread in self.threads if thread.name == "operation"]
        for thread in asking:
            thread.join(QUIET_S)
        found = self._until_none(lambda: self.ledger.broken(NEVER_WHEN_QUIET), QUIET_S)
        found += self.ledger.broken(NEVER)
        if not found:
            found = self._until_none(lambda: misplaced(self.cloud, self.ledger), SETTLE_S)
        self.watch.note(f"in the quiet moment {when}: {line}" for line in found)
        self.tell(f"quiet {when}: {'all is exact' if not found else '; '.join(found[:5])}")

    def _until_none(self, look: Callable[[], list[str]], seconds: float) -> list[str]:
        deadline = time.monotonic() + seconds
        while (found := look()) and time.monotonic() < deadline:
            time.sleep(0.5)
        return found

    def _ended(self) -> Counter[str]:
        sql = f"SELECT kind || ' ' || state, count(*) FROM workers_operation WHERE NOT ({ACTIVE}) GROUP BY 1"
        return Counter(dict(self.ledger.ask(sql)))

    def _ask_doctor(self) -> str:
        """Return what doctor finds, empty where all is well; what a wiped broker leaves may take it two looks."""
        deadline = time.monotonic() + SETTLE_S
        while True:
            said = self.cloud.doctor()
            if said.returncode == 0:
                return ""
            if time.monotonic() > deadline:
                return said.stdout + said.stderr
            time.sleep(5.0)

    def _tell_how_it_goes(self, began: float) -> None:
        while not self.strikes.disarmed.wait(TELL_EVERY_S):
            asked, struck = self.traffic.asked, sum(self.strikes.struck.values())
            times = sorted(time_s for all_s in self.follower.times_s.values() for time_s in all_s)
            self.tell(
                f"{time.monotonic() - began:5.0f} s: {asked} requests, {struck} faults"
                f" ({sum((+self.strikes.armed).values())} armed, {len(self.strikes.missed)} missed),"
                f" recovered in at most {times[-1] if times else 0:.1f} s, {len(self.watch.broken)} broken"
            )


def _bait(number: int, what: str) -> Event:
    details = {"server": f"soak-bait-{number}", "tenant": "admin", "count": 1, "networks": "public"}
    return Event(0.0, "operation", what, details)


def failures_of(soak: Soak, wanted: dict[str, int]) -> list[str]:
    """Return why this soak is none that proves anything; empty where it is good."""
    found = [f"broken: {line}" for line in soak.watch.broken]
    found += [f"left over: {line}" for line in soak.differences]
    found += [f"doctor: {line.strip()}" for line in soak.doctor.splitlines() if "✗" in line]
    missed, struck = soak.strikes.missed, sum(soak.strikes.struck.values())
    if len(missed) > MISSED_SHARE * struck:
        found += [f"missed: {line}" for line in missed]
    counts: dict[str, Any] = {"operations": sum(soak.ended.values()), "faults": struck}
    found += [
        f"only {counts[name]} {name}, {least} are wanted"
        for name, least in wanted.items()
        if counts[name] < least
    ]
    return found
