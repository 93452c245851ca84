"""bin/test mutants: removes one guard of the engine at a time, and names those that no test misses.

Each is removed in a scratch copy of the tree, in which the tests that can notice are run until the first that fails.
The exit code is 0 where every guard is missed by a test.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from tests.mutants import guards
from tests.mutants.guards import Guard

ROOT = Path(__file__).resolve().parents[2]
MOST_NOTICE = ("tests/workers/test_guards.py", "tests/workers/test_half_written.py")
GUARD_TESTS = tuple(  # each by its name: of a file and its folder pytest keeps the folder's order
    dict.fromkeys(
        (*MOST_NOTICE, *sorted(str(one.relative_to(ROOT)) for one in ROOT.glob("tests/workers/test_*.py")))
    )
)
FAULT_TESTS = ("tests/faults", "--ignore=tests/faults/test_operator_pages.py")
DRIVER_TESTS = ("tests/hypervisors/test_contract.py", "tests/hypervisors/test_fake.py")
KEY_TESTS = ("tests/instances/test_idempotency.py",)
FAST = "not guest and not cloud"
REAL_DRIVER = "hypervisors/libvirt/"
LIMIT_S = 600.0


@dataclass
class Verdict:
    """What became of a guard's removal; `by` is the test that failed first, empty where none did."""

    guard: Guard
    by: str
    seconds: float
    output: str = ""

    @property
    def row(self) -> str:
        """Return a line of the table."""
        place = f"{self.guard.file}:{self.guard.line}"
        cells = (
            place,
            self.guard.kind,
            _short(self.guard.text, 70),
            self.by or "NOBODY",
            f"{self.seconds:.1f}",
        )
        return f"| {' | '.join(cells)} |"


@dataclass
class Tree:
    """A scratch copy of the checkout, in which one guard at a time is missing."""

    folder: Path

    @classmethod
    def copy(cls) -> "Tree":
        """Return a new one, of the files that git knows or would."""
        folder = Path(tempfile.mkdtemp(prefix="computecloud-mutants-"))
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, check=True,
        ).stdout.decode()  # fmt: skip
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        return cls(folder)

    def without(self, guard: Guard) -> Verdict:
        """Remove the guard, ask the tests, and put it back."""
        file = self.folder / guard.file
        source, began = file.read_text(), time.monotonic()
        self._forget_compiled(file)
        try:
            file.write_text(guard.removed_from(source))
            for stage in self._stages(guard):
                by, output = self.ask(stage)
                if by:
                    break
        finally:
            file.write_text(source)
            self._forget_compiled(file)
        return Verdict(guard, by, time.monotonic() - began, "" if by else output)

    def ask(self, words: list[str]) -> tuple[str, str]:
        """Run tests until one fails; returns its name, empty where all pass, and what was printed."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("COMPUTECLOUD_")}
        environment["PYTHONPATH"] = str(self.folder)
        command = [sys.executable, "-m", "pytest", "-x", "-p", "no:randomly", *words]
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"whoever waits {LIMIT_S:.0f} s", ""
        if done.returncode == 0:
            return "", done.stdout
        named = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
        return (named.group(1) if named else f"exit code {done.returncode}"), done.stdout + done.stderr

    def _forget_compiled(self, file: Path) -> None:
        """Remove the compiled form: a file that is written twice in a second would be taken for the same."""
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
            compiled.unlink()

    def _stages(self, guard: Guard) -> list[list[str]]:
        if guard.file.startswith(REAL_DRIVER):
            return [
                [
                    "-m",
                    "not cloud",
                    "-k",
                    "epoch or stale",
                    *DRIVER_TESTS,
                    "tests/hypervisors/test_libvirt.py",
                ]
            ]
        engine = [["-m", FAST, *GUARD_TESTS], ["-m", FAST, *FAULT_TESTS]]
        if guard.file.startswith("hypervisors/"):
            return [["-m", FAST, *DRIVER_TESTS], *engine]
        if guard.file.startswith("instances/"):
            return engine[::-1]
        return [["-m", FAST, *KEY_TESTS], *engine] if "idempotency" in guard.file else engine


def _short(text: str, most: int) -> str:
    text = text.replace("|", "/")
    return text if len(text) <= most else text[: most - 1] + "…"


def judge(wanted: Iterable[Guard], trees: list[Tree], tell: bool) -> list[Verdict]:
    """Remove each guard, as many at a time as there are trees."""
    waiting: SimpleQueue[Guard] = SimpleQueue()
    for guard in wanted:
        waiting.put(guard)
    verdicts: list[Verdict] = []

    def work(tree: Tree) -> None:
        while True:
            try:
                guard = waiting.get_nowait()
            except Empty:
                return
            verdicts.append(tree.without(guard))
            if tell:
                sys.stdout.write(f"{len(verdicts)}: {verdicts[-1].row}\n")
                sys.stdout.flush()

    threads = [threading.Thread(target=work, args=(tree,)) for tree in trees]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(verdicts, key=lambda verdict: (verdict.guard.file, verdict.guard.start))


def table(verdicts: Iterable[Verdict]) -> str:
    """Return the verdicts as a table."""
    head = "| where | guard | what it says | noticed by | s |\n|---|---|---|---|---|\n"
    return head + "".join(f"{verdict.row}\n" for verdict in verdicts)


def as_json(verdicts: Iterable[Verdict]) -> str:
    """Return the verdicts as JSON."""
    rows = [
        {
            "file": one.guard.file, "line": one.guard.line, "kind": one.guard.kind, "guard": one.guard.text,
            "noticed_by": one.by, "seconds": round(one.seconds, 1),
        }
        for one in verdicts
    ]  # fmt: skip
    return json.dumps(rows, indent=1)


def main(words: list[str]) -> int:
    """List the guards, or remove them one at a time."""
    parser = argparse.ArgumentParser(prog="bin/test mutants", description=__doc__)
    parser.add_argument("--list", action="store_true", help="print the guards and remove none")
    parser.add_argument("--only", default="", help="remove those alone whose name holds this text")
    parser.add_argument("--at-once", type=int, default=2, help="how many at a time (default 2)")
    parser.add_argument("--json", type=Path, help="write the verdicts to this file")
    chosen = parser.parse_args(words)
    found = [guard for guard in guards.find(ROOT) if chosen.only in guard.name]
    if chosen.list:
        sys.stdout.write("".join(f"{guard.name}\n" for guard in found))
        return 0
    trees = [Tree.copy() for _ in range(chosen.at_once)]
    try:
        for tests in (GUARD_TESTS, FAULT_TESTS, DRIVER_TESTS, KEY_TESTS):
            failed, said = trees[0].ask(["-m", FAST, *tests])
            if failed:
                sys.stdout.write(f"{said}\n{failed} fails with every guard in its place: mend that first\n")
                return 2
        verdicts = judge(found, trees, tell=True)
    finally:
        for tree in trees:
            shutil.rmtree(tree.folder, ignore_errors=True)
    survivors = [verdict for verdict in verdicts if not verdict.by]
    sys.stdout.write(
        f"\n{table(verdicts)}\n{len(verdicts)} guards removed, {len(survivors)} missed by no test\n"
    )
    if chosen.json:
        chosen.json.write_text(as_json(verdicts) + "\n")
    return int(bool(survivors))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
