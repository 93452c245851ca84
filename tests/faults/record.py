"""What each fault test tells of its fault: rows for docs/fault-matrix.md, kept in the file that FAULTS_RECORD names."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

RECOVER_S = 60.0  # a step runs again within this time of the fault's end: the shortest deadline
KILLED_RECOVER_S = 15.0  # and of the end of its worker

WHEN = {
    "accepted": "before the first step",
    "taken": "before its effect",
    "done": "after its effect, before its commit",
    "committed": "after its commit, before the next link",
    "enter": "at the start of",
    "leave": "at the end of",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One fault aimed at one step. recover_s: from the fault's end to the step's next run, None where none was left."""

    stack: str
    kind: str
    step: str
    fault: str
    outcome: str
    recover_s: float | None = None


def note(row: Row, *, fired: bool) -> None:
    """Keep the row; a fault that did not fire where it was aimed, or took too long to recover from, is a failure."""
    where = f"{row.kind}.{row.step} on {row.stack}"
    assert fired, f"the fault {row.fault!r} did not fire: {where}"
    limit_s = KILLED_RECOVER_S if "SIGKILL" in row.fault else RECOVER_S
    late = row.recover_s is not None and row.recover_s > limit_s
    assert not late, (
        f"{where} ran again {row.recover_s:.1f} s after {row.fault!r}, which may take {limit_s:g} s"
    )
    if file := os.environ.get("FAULTS_RECORD"):
        with Path(file).open("ab") as record:
            record.write(msgspec.json.encode(asdict(row)) + b"\n")


def at(fault: str, point: str) -> str:
    """Return a fault's name with the moment that a probe's or gate's name stands for."""
    words = point.split(".")
    if words[-1] in ("enter", "leave"):
        return f"{fault} {WHEN[words[-1]]} `{words[0]}`"
    return f"{fault} {WHEN[words[-1]]}"
