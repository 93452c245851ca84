"""The faults of a soak. Each proves that it struck: a process is gone, a gate was reached, a lock is held."""

import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError as BrokerError

from computecloud.cli.processes import alive
from hypervisors.gated import FAIL, FAIL_FOR_NOW
from tests.cloud.cloud import Cloud, until
from tests.soak.look import ACTIVE, Follower, Ledger
from tests.soak.plan import Event

RUNNING_S, ENDING_S, BROKER_S = 90.0, 45.0, 30.0
POLL_S = 0.05
UNDONE_S = 10.0  # a boot that was failed is back at any of its steps by then
START_FAILS = "start.enter"  # what brings the undo of a boot about


class Missed(Exception):
    """The fault did not strike; the words say why."""


def guest_pids() -> set[int]:
    """Return the processes of the real guests."""
    command = ["pgrep", "-f", "^/usr/bin/qemu-system-x86_64 -name guest="]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return {int(pid) for pid in found.stdout.split()}


@dataclass
class Strikes:
    """Has the faults of the schedule strike, and counts those that did and those that did not."""

    cloud: Cloud
    ledger: Ledger
    follower: Follower
    struck: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    disarmed: threading.Event = field(default_factory=threading.Event)
    armed: Counter[str] = field(default_factory=Counter)
    spared: set[int] = field(default_factory=guest_pids)
    _gates: dict[str, threading.Lock] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _databases: threading.Lock = field(default_factory=threading.Lock)

    def do(self, event: Event) -> None:
        """Have one fault strike."""
        name = event.name
        strike: Callable[[dict[str, Any]], None] = getattr(self, f"_{name}")
        try:
            strike(event.details)
        except (Missed, AssertionError, OSError, subprocess.SubprocessError, sqlite3.Error) as error:
            with self._guard:
                self.missed.append(f"{name} at {event.at_s:.1f} s: {error}")
            return
        with self._guard:
            self.struck[name] += 1

    # --- processes

    def _kill_host(self, aim: dict[str, Any]) -> None:
        self._kill(self._host(aim), "kill_host")

    def _kill_control(self, _: dict[str, Any]) -> None:
        self._kill("control", "kill_control")

    def _kill_beat(self, _: dict[str, Any]) -> None:
        self._kill("beat", "kill_beat")

    def _kill_web(self, aim: dict[str, Any]) -> None:
        main = self._pid("web")
        self._end(self._web_child(main) if aim["pick"] < 0.7 else main, signal.SIGKILL)
        self._time_web("kill_web")

    def _term_host(self, aim: dict[str, Any]) -> None:
        self._end(self._pid(self._host(aim)), signal.SIGTERM)

    def _term_control(self, _: dict[str, Any]) -> None:
        self._end(self._pid("control"), signal.SIGTERM)

    def _term_beat(self, _: dict[str, Any]) -> None:
        self._end(self._pid("beat"), signal.SIGTERM)

    def _term_web(self, _: dict[str, Any]) -> None:
        self._end(self._pid("web"), signal.SIGTERM)
        self._time_web("term_web")

    def _pause_host(self, aim: dict[str, Any]) -> None:
        self._pause(self._pid(self._host(aim)), aim["seconds"])

    def _pause_control(self, aim: dict[str, Any]) -> None:
        self._pause(self._pid("control"), aim["seconds"])

    def _pause_web(self, aim: dict[str, Any]) -> None:
        self._pause(self._web_child(self._pid("web")), aim["seconds"])

    def _pause_beyond_lease(self, aim: dict[str, Any]) -> None:
        name = "control" if aim["process"] == "control" else self._host(aim)
        self._pause(self._pid(name), aim["seconds"])

    def _libvirtd_kill(self, _: dict[str, Any]) -> None:
        self._end(self._pid("libvirtd"), signal.SIGKILL)

    def _guest_dies(self, aim: dict[str, Any]) -> None:
        """Kill a guest's QEMU, as the kernel does that is short of memory; not of those that were there before."""
        ours = until(lambda: sorted(guest_pids() - self.spared), RUNNING_S, "a guest to run", every_s=0.5)
        self._end(ours[int(aim["pick"] * len(ours))], signal.SIGKILL)

    # --- at gates

    def _kill_at_gate(self, aim: dict[str, Any]) -> None:
        self._kill_who_comes(aim["gate"], "kill_at_gate")

    def _kill_in_undo(self, aim: dict[str, Any]) -> None:
        with self._gate(aim["gate"]), self._gate(START_FAILS):
            self.cloud.gates.close(aim["gate"])
            while not self.cloud.gates.was_reached(aim["gate"]):  # a boot without NICs has no wiring to undo
                self.cloud.gates.fail(START_FAILS, FAIL)
                self._await_file(f"{START_FAILS}.struck")
                (self.cloud.gates.folder / f"{START_FAILS}.struck").unlink()
                with suppress(AssertionError):
                    until(
                        lambda: self.cloud.gates.was_reached(aim["gate"]), UNDONE_S, "the undo to come there"
                    )
            self._kill_at(aim["gate"], "kill_in_undo")

    def _kill_before_dispatch(self, aim: dict[str, Any]) -> None:
        self._kill_who_comes(aim["gate"], "kill_before_dispatch")

    def _driver_fails(self, aim: dict[str, Any]) -> None:
        with self._gate(aim["gate"]):
            self.cloud.gates.fail(aim["gate"], FAIL_FOR_NOW if aim["retryable"] else FAIL)
            self._await_file(f"{aim['gate']}.struck")

    def _step_fails(self, aim: dict[str, Any]) -> None:
        with self._gate(aim["gate"]):
            self.cloud.gates.fail(aim["gate"], "made to fail")
            self._await_file(f"{aim['gate']}.reached")

    def _driver_hangs(self, aim: dict[str, Any]) -> None:
        with self._gate(aim["gate"]):
            self.cloud.gates.close(aim["gate"])
            self._await_file(f"{aim['gate']}.reached")
            time.sleep(aim["seconds"])
            self.cloud.gates.open(aim["gate"])

    def _kill_who_comes(self, gate: str, fault: str) -> None:
        with self._gate(gate):
            self.cloud.gates.close(gate)
            self._kill_at(gate, fault)

    def _kill_at(self, gate: str, fault: str) -> None:
        reached = self.cloud.gates.folder / f"{gate}.reached"
        pid = 0
        while not pid:  # its writer may be half-way
            self._await_file(reached.name)
            with suppress(ValueError, FileNotFoundError):
                pid = int(reached.read_text())
        held = self.follower.leased_by(pid)
        try:
            self._end(pid, signal.SIGKILL)
        finally:
            self.cloud.gates.open(gate)
        self.follower.follow(fault, held)

    def _await_file(self, name: str) -> None:
        """Wait until somebody comes; raises Missed where nobody came until the end."""
        file = self.cloud.gates.folder / name
        while not file.exists():
            if self.disarmed.wait(POLL_S):
                raise Missed(f"nobody came: {name}")

    def _gate(self, name: str) -> "_Armed":
        with self._guard:
            lock = self._gates.setdefault(name, threading.Lock())
        return _Armed(self, name, lock)

    # --- the broker

    def _redis_kill(self, _: dict[str, Any]) -> None:
        self._end(self._pid("redis"), signal.SIGKILL)
        self._redis_is_back("redis_kill")

    def _redis_restart(self, _: dict[str, Any]) -> None:
        self._end(self._pid("redis"), signal.SIGTERM)
        self._redis_is_back("redis_restart")

    def _redis_wiped(self, _: dict[str, Any]) -> None:
        until(lambda: self._redis("flushall") == "OK", BROKER_S, "Redis to be emptied", every_s=0.2)
        self.follower.follow("redis_wiped", self.follower.waiting())

    def _redis_hangs(self, aim: dict[str, Any]) -> None:
        self._pause(self._pid("redis"), aim["seconds"])
        self._redis_is_back("redis_hangs")

    def _redis_is_back(self, fault: str) -> None:
        until(lambda: self._redis("ping") == "PONG", BROKER_S, "Redis to answer", every_s=0.1)
        self.follower.follow(fault, self.follower.waiting())

    def _redis(self, *words: str) -> str:
        command = ["redis-cli", "-s", str(self.cloud.state / "run" / "redis.sock"), *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
        except subprocess.TimeoutExpired:
            return ""
        return done.stdout.strip()

    # --- messages

    def _message_twice(self, aim: dict[str, Any]) -> None:
        operation = self._one_operation(ACTIVE, aim["pick"])
        for _ in range(aim["times"]):
            self._send(operation, operation[2])

    def _message_late(self, aim: dict[str, Any]) -> None:
        operation = self._one_operation("state NOT IN ('pending', 'running', 'undoing')", aim["pick"])
        self._send(operation, int(aim["pick"] * 1000) % 5)

    def _message_early(self, aim: dict[str, Any]) -> None:
        operation = self._one_operation(ACTIVE, aim["pick"])
        self._send(operation, operation[2] + 1)

    def _message_newer(self, aim: dict[str, Any]) -> None:
        operation = self._one_operation("1", aim["pick"])
        if aim["pick"] < 0.5:
            self._publish("workers.step_in_two_years", [operation[0]], {}, self._queue(operation))
        else:
            self._publish(
                "workers.step", [operation[0], "do", operation[2]], {"format": 9}, self._queue(operation)
            )

    def _one_operation(self, which: str, pick: float) -> tuple[Any, ...]:
        sql = f"SELECT id, state, cursor, host FROM workers_operation WHERE {which} ORDER BY created_at DESC LIMIT 200"
        found = until(
            lambda: self.ledger.ask(sql), RUNNING_S, "an operation to send a message of", every_s=0.1
        )
        chosen: tuple[Any, ...] = found[int(pick * len(found))]
        return chosen

    def _send(self, operation: tuple[Any, ...], cursor: int) -> None:
        direction = "undo" if operation[1] == "undoing" else "do"
        self._publish("workers.step", [operation[0], direction, cursor], {}, self._queue(operation))

    def _queue(self, operation: tuple[Any, ...]) -> str:
        return f"host.{operation[3]}" if operation[3] else "control"

    def _publish(self, task: str, args: list[Any], named: dict[str, Any], queue: str) -> None:
        app = Celery(broker=f"redis+socket://{self.cloud.state / 'run' / 'redis.sock'}")
        app.conf.update(
            broker_transport_options={"socket_timeout": 5, "max_retries": 0, "priority_steps": [0]}
        )
        deadline = time.monotonic() + BROKER_S
        while True:
            try:
                app.send_task(task, args=args, kwargs=named, queue=queue, retry=False)
                return
            except (BrokerError, OSError) as error:
                if time.monotonic() > deadline:
                    raise Missed(f"the broker did not take it: {error}") from None
            finally:
                app.close()
            time.sleep(0.5)

    # --- the database

    def _database_locked(self, aim: dict[str, Any]) -> None:
        with self._databases, closing(self._writer()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(aim["seconds"])
            connection.execute("ROLLBACK")

    def _writer(self) -> sqlite3.Connection:
        return sqlite3.connect(self.cloud.state / "computecloud.sqlite3", timeout=30, isolation_level=None)

    # --- what they share

    def _host(self, aim: dict[str, Any]) -> str:
        return f"host-fake-{aim['host'] + 1}" if self.cloud.driver == "fake" else self.cloud.worker

    def _pid(self, name: str) -> int:
        """Return the pid of a process that runs, as soon as it does."""

        def running() -> int:
            for process in self.cloud.supervisor.processes():
                if process.name == name and process.state in ("RUNNING", "STARTING") and alive(process.pid):
                    return process.pid
            return 0

        return int(until(running, RUNNING_S, f"{name} to run", every_s=0.3))

    def _web_child(self, main: int) -> int:
        def child() -> str:
            with suppress(OSError):
                return Path(f"/proc/{main}/task/{main}/children").read_text().strip()
            return ""

        return int(until(child, RUNNING_S, "the web server's worker", every_s=0.3).split()[0])

    def _kill(self, name: str, fault: str) -> None:
        pid = self._pid(name)
        held = self.follower.leased_by(pid)
        self._end(pid, signal.SIGKILL)
        self.follower.follow(fault, held)

    def _end(self, pid: int, number: signal.Signals) -> None:
        os.kill(pid, number)
        until(lambda: not alive(pid), ENDING_S, f"the end of process {pid} after {number.name}", every_s=0.05)

    def _pause(self, pid: int, seconds: float) -> None:
        os.kill(pid, signal.SIGSTOP)
        try:
            until(lambda: _state(pid) in "TX", 5, f"process {pid} to stand still")
            time.sleep(seconds)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _time_web(self, fault: str) -> None:
        """Note how long it takes until the API answers again."""
        began = time.monotonic()

        def answers() -> bool:
            with suppress(OSError, ValueError):
                return bool(self.cloud.admin.versions())
            return False

        until(answers, RUNNING_S, "the web server to answer", every_s=0.1)
        with self._guard:
            self.follower.times_s.setdefault(fault, []).append(time.monotonic() - began)


@dataclass
class _Armed:
    """A gate that belongs to one fault; open again at the fault's end, whatever that was."""

    strikes: Strikes
    name: str
    lock: threading.Lock

    def __enter__(self) -> None:
        while not self.lock.acquire(timeout=0.2):
            if self.strikes.disarmed.is_set():
                raise Missed(f"another fault waits at {self.name}")
        self.strikes.armed[self.name] += 1
        (self.strikes.cloud.gates.folder / f"{self.name}.struck").unlink(missing_ok=True)

    def __exit__(self, *_: object) -> None:
        self.strikes.cloud.gates.open(self.name)
        (self.strikes.cloud.gates.folder / f"{self.name}.struck").unlink(missing_ok=True)
        self.strikes.armed[self.name] -= 1
        self.lock.release()


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"
