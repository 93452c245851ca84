"""A load of boots that goes on while something is done to the cloud, and what must have become of them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from computecloud.cli.failures import Failure
from tests.cloud import timings
from tests.cloud.cloud import Cloud, until
from tests.cloud.servers import NOTHING, WHOLE, Server, boot, holdings
from tests.faults.record import RECOVER_S, Row, note

EVERY_S = 0.4  # between two boots of the load: a minute of them finds addresses
BEFORE_S = 3.0
UNDONE = {**NOTHING, "charges": 1}  # a server in ERROR keeps its quota until it is deleted
LOST = ("Connection to broker lost", "Cannot connect to", "dropping stale connection")
POST_S = 5.0  # a request may take this long while the broker takes nothing, on a machine that does much else


@dataclass
class Load:
    """Boots asked for one after the other in a thread of its own."""

    cloud: Cloud
    servers: list[Server] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    longest_s: float = 0.0
    _end: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask for a server now and then until told to end."""
        client = self.cloud.client()
        while not self._end.wait(EVERY_S):
            began = time.monotonic()
            try:
                self.servers.append(boot(self.cloud, client))
            except Failure as failure:
                self.failures.append(failure)
            self.longest_s = max(self.longest_s, time.monotonic() - began)

    def end(self) -> None:
        """Ask for no more."""
        self._end.set()


@contextmanager
def under_load(cloud: Cloud) -> Iterator[Load]:
    """Return a load that runs; in the end its servers are gone."""
    made = Load(cloud)
    thread = threading.Thread(target=made.run)
    thread.start()
    time.sleep(BEFORE_S)
    yield made
    made.end()
    thread.join(30)
    for server in made.servers:
        server.client = cloud.admin
        server.delete()
    for server in made.servers:
        server.await_gone()


def is_made(server: Server, *, expires: bool) -> bool:
    """Wait until a server is ACTIVE; False where it is in ERROR because its time was up, if it may be."""

    def ended() -> str:
        shown = server.shown
        return str(shown["status"]) if shown["OS-EXT-STS:task_state"] is None else ""

    if until(ended, 4 * RECOVER_S, f"server {server.id} to be made") == "ACTIVE":
        return True
    words = server.shown["fault"]["message"]
    assert expires and words.startswith("not finished within"), words
    return False


def recovered(
    cloud: Cloud, load: Load, fault: str, *, fired: bool, expires: bool = False, within_s: float = RECOVER_S
) -> None:
    """See that all that was accepted is made within the time allowed, once; the fault has just ended.

    expires: it lasted longer than a boot may take here, so that some boots are undone, with that as their reason.
    """
    began = time.monotonic()
    time.sleep(1.0)
    load.end()
    assert load.failures == []
    assert load.longest_s < POST_S
    servers = list(load.servers)
    for server in servers:
        server.client = cloud.admin
    made = [server for server in servers if is_made(server, expires=expires)]
    took_s = time.monotonic() - began
    assert took_s < within_s, f"all moved {took_s:.1f} s after {fault}"
    assert [holdings(server) for server in made] == [WHOLE] * len(made)
    assert [holdings(server) for server in servers if server not in made] == [UNDONE] * (
        len(servers) - len(made)
    )
    timings.note(f"{cloud.stack}: {fault} under load, to all ACTIVE", took_s)
    timings.note(f"{cloud.stack}: longest POST while {fault}", load.longest_s)
    outcome = f"{len(made)} of {len(servers)} boots succeeded, the others' time was up: undone"
    if len(made) == len(servers):
        outcome = f"all {len(made)} boots succeeded"
    note(Row(cloud.stack, "create", "every step", f"{fault}, under load", outcome, took_s), fired=fired)


def lost_connections(cloud: Cloud, worker: str = "control") -> int:
    """Return how often a worker said that it lost its broker."""
    log = (cloud.state / "log" / f"{worker}.log").read_text()
    return sum(log.count(words) for words in LOST)
