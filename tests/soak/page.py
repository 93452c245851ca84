"""What a soak found, as a summary for the screen, as JSON, and as rows of the page docs/fault-matrix.md."""

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from tests.soak.plan import Shape
from tests.soak.run import Soak

BEGIN, END = "<!-- soak: begin -->", "<!-- soak: end -->"
HEAD = """## Soaks

Made by `bin/test soak --seed S --minutes M`: random operations of four tenants and random faults on a cloud of real
processes, by a schedule that is a function of the seed alone (`--plan` prints it). Throughout, what must never be is
looked for every 2 s; at the end everything is deleted, and `tests/cloud/leftovers.py`, which knows nothing of the
project's code, compares the machine with what it was before. Recovery is the time from a fault to the next sign of life
of each operation that it hit. A fault counts when it proves that it struck; one that found nobody is missed, and more
than one missed in a hundred make a soak fail.

| driver | seed | minutes | operations | faults | recovery p50 / max | left over | broken | verdict |
|---|---|---|---|---|---|---|---|---|
"""
DETAILS = """
### What happened in each

| driver and seed | operations by outcome | faults that struck |
|---|---|---|
"""


def figures(shape: Shape, soak: Soak, failures: list[str]) -> dict[str, Any]:
    """Return what is kept of a soak."""
    times = soak.follower.times_s
    every = [time_s for all_s in times.values() for time_s in all_s]
    return {
        "driver": shape.driver,
        "seed": shape.seed,
        "minutes": shape.minutes,
        "hosts": shape.hosts,
        "seconds": round(soak.seconds, 1),
        "operations": sum(soak.ended.values()),
        "outcomes": dict(sorted(soak.ended.items())),
        "attempts": dict(sorted(soak.attempts.items())),
        "requests": dict(sorted(soak.traffic.answers.items())),
        "faults": sum(soak.strikes.struck.values()),
        "struck": dict(sorted(soak.strikes.struck.items())),
        "missed": soak.strikes.missed,
        "looks": soak.watch.looks,
        "recovery_s": _spread(every),
        "recovery_by_fault_s": {name: _spread(all_s) for name, all_s in sorted(times.items())},
        "slowest": soak.follower.slowest,
        "left_over": soak.differences,
        "broken": soak.watch.broken,
        "doctor": soak.doctor,
        "failures": failures,
    }


def _spread(times_s: list[float]) -> dict[str, float]:
    if not times_s:
        return {"count": 0, "p50": 0.0, "max": 0.0}
    return {"count": len(times_s), "p50": round(median(times_s), 2), "max": round(max(times_s), 2)}


def summary(found: dict[str, Any]) -> str:
    """Return the summary for the screen."""
    lines = [
        f"soak of {found['minutes']:g} minutes on {found['driver']}, seed {found['seed']}",
        f"  operations {found['operations']}: {_counts(found['outcomes'])}",
        f"  attempts at steps: {_counts(found['attempts'])}",
        f"  requests: {_counts(found['requests'])}",
        f"  faults that struck {found['faults']}: {_counts(found['struck'])}",
        f"  recovery: {_recovery(found['recovery_s'])}",
        *(f"    {name}: {_recovery(one)}" for name, one in found["recovery_by_fault_s"].items()),
        f"  looked {found['looks']} times; broken {len(found['broken'])}; left over {len(found['left_over'])}",
        *(f"  FAILED: {line}" for line in found["failures"]),
        "good" if not found["failures"] else "not good",
    ]
    return "\n".join(lines)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _recovery(one: dict[str, float]) -> str:
    return f"{one['count']:.0f} times, p50 {one['p50']:.1f} s, max {one['max']:.1f} s"


def write(page: Path, found: Iterable[dict[str, Any]]) -> None:
    """Put these soaks into the page: each in the place of an earlier one of the same driver, seed and length."""
    text = page.read_text() if page.exists() else "# Faults and what becomes of them\n"
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    rows, details = _rows_of(old)
    for one in found:
        key = f"| {one['driver']} | {one['seed']} | {one['minutes']:g} |"
        recovery = f"{one['recovery_s']['p50']:.1f} s / {one['recovery_s']['max']:.1f} s"
        verdict = "good" if not one["failures"] else f"not good: {one['failures'][0]}".replace("|", "/")
        rows[key] = (
            f"{key} {one['operations']} | {one['faults']} ({len(one['missed'])} missed) | {recovery}"
            f" | {len(one['left_over'])} | {len(one['broken'])} | {verdict} |"
        )
        named = f"| {one['driver']} {one['seed']}, {one['minutes']:g} min |"
        details[named] = f"{named} {_counts(one['outcomes'])} | {_counts(one['struck'])} |"
    section = HEAD + "\n".join(rows[key] for key in sorted(rows)) + "\n"
    section += DETAILS + "\n".join(details[key] for key in sorted(details)) + "\n"
    page.write_text(f"{before.rstrip()}\n\n{BEGIN}\n{section}{END}\n{after.lstrip(chr(10))}")


def _rows_of(section: str) -> tuple[dict[str, str], dict[str, str]]:
    rows, details = {}, {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 9 and cells[2].replace(".", "").isdigit():
            rows[f"| {cells[0]} | {cells[1]} | {cells[2]} |"] = line
        elif len(cells) == 3 and cells[0].endswith(" min"):
            details[f"| {cells[0]} |"] = line
    return rows, details


def as_json(found: dict[str, Any]) -> str:
    """Return one line for a file of many soaks."""
    return json.dumps(found, sort_keys=True)
