"""Workers of an earlier commit beside those of this one, on one schema: operations cross from each to the other.

The earlier commit is the oldest of late ones that has the same migrations; where the newest has another set, it is the
one before, for a migration only adds.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from computecloud.cli.installation import ROOT
from tests.cloud import database
from tests.cloud.cloud import Cloud, until
from tests.cloud.servers import ACTIVE_S, WHOLE, Server, boot, holdings
from tests.faults import record
from tests.faults.real import aim, ledger

pytestmark = [pytest.mark.cloud, pytest.mark.faults]

LATE = 30  # commits looked at
OLD_HOST = "fake-2"
READY_S = 30.0
MOST = 48
_WORKERS = "SELECT step, worker FROM workers_steprun WHERE operation_id = ? ORDER BY id"


def git(*words: str) -> str:
    """Return what git prints about this checkout."""
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def earlier_commit() -> str:
    """Return the commit whose workers are to be run beside ours."""

    def migrations(commit: str) -> list[str]:
        files = git("ls-tree", "-r", "--name-only", commit).splitlines()
        return [file for file in files if "/migrations/" in file]

    late = git("rev-list", "--first-parent", f"--max-count={LATE}", "HEAD").splitlines()[1:]
    here = migrations("HEAD")
    return next((commit for commit in reversed(late) if migrations(commit) == here), late[0])


@contextmanager
def worker(cloud: Cloud, code: Path, role: str) -> Iterator[int]:
    """Have a worker of other code beside the cloud's own; gives its pid."""
    names = {"COMPUTECLOUD_HOST_NAME": OLD_HOST} if role == "host" else {}
    command = [sys.executable, "-m", "computecloud", "worker", role, "--threads", "2"]
    with (cloud.state / "log" / f"old-{role}.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=code, env={**cloud.environment, **names}, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(READY_S)


@pytest.fixture
def old_workers(cloud: Cloud, tmp_path: Path) -> Iterator[list[str]]:
    """Have a control worker and one host's worker of the earlier commit run; gives what their names end with."""
    with ExitStack() as stack:
        git("worktree", "add", "--detach", str(tmp_path / "old"), earlier_commit())
        stack.callback(git, "worktree", "remove", "--force", str(tmp_path / "old"))
        cloud.stop(f"host-{OLD_HOST}")
        stack.callback(cloud.start, f"host-{OLD_HOST}")
        pids = [stack.enter_context(worker(cloud, tmp_path / "old", role)) for role in ("host", "control")]
        question = "SELECT worker FROM workers_host WHERE name = ?"

        def taken() -> bool:
            return str(database.ask(cloud.state, question, OLD_HOST)[0][0]).endswith(f":{pids[0]}")

        until(taken, READY_S, "the old worker to take its host")
        yield [f":{pid}" for pid in pids]


def ways(server: Server, kind: str, marks: list[str]) -> set[str]:
    """Return how an operation crossed between the versions."""
    found = set()
    rows = database.ask(server.cloud.state, _WORKERS, ledger.operation(server, kind).id)
    old = [str(name).endswith(tuple(marks)) for _, name in rows]
    for before, after in pairwise(old):
        if before != after:
            found.add("old to new" if before else "new to old")
    return found


def test_operations_cross_between_workers_of_two_versions_both_ways(
    cloud: Cloud, old_workers: list[str]
) -> None:
    crossed: set[str] = set()
    servers: list[Server] = []
    while len(crossed) < 2 and len(servers) < MOST:
        more = [boot(cloud) for _ in range(8)]
        for server in more:
            server.await_status("ACTIVE", ACTIVE_S)
            crossed |= ways(server, "create", old_workers)
        servers += more
    assert [holdings(server) for server in servers] == [WHOLE] * len(servers)
    for action, status in (("os-stop", "SHUTOFF"), ("os-start", "ACTIVE")):
        for server in servers:
            server.act(action)
        for server in servers:
            aim.await_end(server, status)
    for server in servers:
        server.act("reboot", {"type": "SOFT"})
    for server in servers:
        aim.await_end(server, "ACTIVE")
    for server in servers:
        aim.remove(server)
        crossed |= ways(server, "delete", old_workers)
    for kind in ("create", "stop", "start", "reboot", "delete"):  # what the earlier commit knows, too
        fault = "workers of an earlier commit beside those of this one"
        row = record.Row(aim.stack_of(cloud), kind, "all", fault, "succeeded")
        record.note(row, fired=crossed == {"old to new", "new to old"})
