"""Makes the matrix in docs/fault-matrix.md of what the fault tests kept: report.py RECORD [PAGE].

What stands in the page outside of the matrix is left as it is. Rows that were recorded several times (a test that was
run again) count once, the last.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import median

import msgspec

from tests.faults.record import WHEN, Row

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fault-matrix.md"
BEGIN, END = "<!-- the matrix begins: bin/test faults writes it -->", "<!-- the matrix ends -->"
STACKS = ("in process", "sqlite+redis", "postgresql+rabbitmq", "libvirt")
NONE_LEFT = "—"


def read(record: Path) -> list[Row]:
    """Return the rows, each once."""
    rows = (msgspec.json.decode(line, type=Row) for line in record.read_bytes().splitlines())
    return list({(row.stack, row.kind, row.step, row.fault): row for row in rows}.values())


def matrix(rows: Iterable[Row]) -> str:
    """Return the page's part that is made of the rows: figures first, then a table for each operation."""
    rows = list(rows)
    kinds: dict[str, dict[tuple[str, str], dict[str, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        kinds[row.kind][row.step, row.fault][row.stack] = row
    parts = [figures(rows)]
    for kind, lines in kinds.items():
        parts.append(f"### {kind}\n\n" + _table(["step", "fault", *STACKS], _lines(lines)))
    return "\n".join(parts)


def _lines(lines: dict[tuple[str, str], dict[str, Row]]) -> list[list[str]]:
    steps = list(dict.fromkeys(step for step, _ in lines))
    ordered = sorted(lines.items(), key=lambda line: (steps.index(line[0][0]), *_in_time(line[0][1])))
    return [
        [step, fault, *(_cell(found[stack]) if stack in found else "" for stack in STACKS)]
        for (step, fault), found in ordered
    ]


def _in_time(fault: str) -> tuple[str, int]:
    """Return what sorts the moments of one fault as they come."""
    moments = list(WHEN.values())
    found = next((moment for moment in moments if moment in fault), "")
    return fault.replace(found, "") if found else fault, moments.index(found) if found else 0


def figures(rows: list[Row]) -> str:
    """Return a table of how many faults were aimed on each stack, and the times until the work went on."""
    lines = []
    for stack in dict.fromkeys((*STACKS, *(row.stack for row in rows))):
        mine = [row for row in rows if row.stack == stack]
        times = [row.recover_s for row in mine if row.recover_s is not None]
        typical = [f"{median(times):.1f} s", f"{max(times):.1f} s"] if times else [NONE_LEFT, NONE_LEFT]
        if mine:
            lines.append([stack, str(len(mine)), str(len(mine)), *typical])
    return _table(["stack", "faults", "fired", "median time to recover", "longest"], lines)


def _cell(row: Row) -> str:
    if row.recover_s is None:
        return row.outcome
    return f"{row.outcome}, {row.recover_s:.1f} s"


def _table(heads: list[str], lines: Iterable[list[str]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (heads, ["---"] * len(heads), *lines))


def main(words: list[str]) -> None:
    """Write the matrix into the page."""
    page = Path(words[1]) if len(words) > 1 else PAGE
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{matrix(read(Path(words[0])))}\n{END}{after}")


if __name__ == "__main__":
    main(sys.argv[1:])
