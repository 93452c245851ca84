"""What a cloud's ledger says of one operation, read from outside."""

from dataclasses import dataclass

from tests.cloud import database
from tests.cloud.cloud import until
from tests.cloud.servers import Server

ENDED = ("succeeded", "failed", "cancelled")
_OPERATION = """
SELECT id, state, leased_at, round, lease_token IS NOT NULL FROM workers_operation WHERE subject_id = ? AND kind = ?
ORDER BY created_at DESC
"""
_RUNS = "SELECT step, undo, outcome, count(*) FROM workers_steprun WHERE operation_id = ? GROUP BY 1, 2, 3"

_SUCCESS = """
SELECT started_at FROM workers_steprun WHERE operation_id = ? AND step = ? AND NOT undo AND outcome = 'success'
"""
_MISHAPS = "SELECT step, outcome, error FROM workers_steprun WHERE operation_id = ? AND outcome <> 'success'"


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as its row says; leased_at: when a step of it was last taken, in s since 1970."""

    id: str
    state: str
    leased_at: float
    round: int
    leased: bool


def operation(server: Server, kind: str) -> Operation:
    """Return the last operation of this kind on the server."""
    rows = database.ask(server.cloud.state, _OPERATION, server.id.replace("-", ""), kind)
    id_, state, leased_at, round_, leased = rows[0]
    return Operation(str(id_).replace("-", ""), state, float(leased_at), int(round_), bool(leased))


def runs(server: Server, kind: str) -> dict[tuple[str, str], int]:
    """Return how often each step of it (`undo of` one that was undone) ended in each outcome."""
    rows = database.ask(server.cloud.state, _RUNS, operation(server, kind).id)
    return {(f"undo of {step}" if undo else step, outcome): int(n) for step, undo, outcome, n in rows}


def mishaps(server: Server, kind: str) -> list[tuple[str, str, str]]:
    """Return step, outcome and error of each attempt that was no success."""
    rows = database.ask(server.cloud.state, _MISHAPS, operation(server, kind).id)
    return [(str(step), str(outcome), str(error)) for step, outcome, error in rows]


def succeeded_at(server: Server, kind: str, step: str) -> float:
    """Return when the attempt of this step that succeeded began, in s since 1970."""
    [[began]] = database.ask(server.cloud.state, _SUCCESS, operation(server, kind).id, step)
    return database.seconds(began)


def recovered(server: Server, kind: str, since: float, seconds: float = 60.0) -> float | None:
    """Wait until a step of the operation is taken again; returns how long after `since`, None where it had ended."""

    def moved() -> Operation | None:
        now = operation(server, kind)
        return now if now.leased_at > since or now.state in ENDED else None

    found: Operation = until(moved, seconds, f"{kind} of {server.id} to go on", every_s=0.02)
    return found.leased_at - since if found.leased_at > since else None


def check_once(server: Server, kind: str) -> None:
    """See that each step has one row of success a round, and that the operation has ended."""
    ended = operation(server, kind)
    assert ended.state in ENDED
    assert not ended.leased
    often = {step: n for (step, outcome), n in runs(server, kind).items() if outcome == "success"}
    assert all(n <= ended.round for n in often.values()), often
