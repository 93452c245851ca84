"""Figures of a benchmark: collected as rows, printed as a table, kept as JSON."""

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100).__int__() - 1)]


def parser(about: str) -> argparse.ArgumentParser:
    """Return a parser of the options that every benchmark has."""
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return made


class Figures:
    """Rows of figures under named columns; asserts nothing about them."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.rows: list[dict[str, Any]] = []

    def add(self, what: str, **figures: Any) -> None:
        """Add a row; a float is printed with two digits."""
        self.rows.append({"what": what, **figures})

    def show(self, file: Path | None = None) -> None:
        """Print the table, and write it to the file where one is given."""
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        lines = [columns, *([_text(row.get(column)) for column in columns] for row in self.rows)]
        widths = [max(len(line[number]) for line in lines) for number in range(len(columns))]
        print(f"\n{self.title}")
        for line in lines:
            first, *others = (
                cell.ljust(widths[0]) if not at else cell.rjust(widths[at]) for at, cell in enumerate(line)
            )
            print("  ".join([first, *others]).rstrip())
        if file is not None:
            known = {"title": self.title, "machine": machine(), "at": time.strftime("%Y-%m-%d %H:%M:%S")}
            file.write_text(json.dumps({**known, "rows": self.rows}, indent=1) + "\n")


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processors, kernel, Python, and how busy the machine was before."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {
        "processors": os.cpu_count(),
        "model": model,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": [round(value, 2) for value in os.getloadavg()],
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)
