"""Finds the guards of the engine in its source: what keeps a second, a late or a dead worker from doing harm.

Each is found by the shape of the code (AST), so a new one is on the list the moment it is written, with what stands in
its place once it is removed.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ENGINE = "workers/*.py"
# The conditions in clock_steps only spare writes: each value is computed row by row, and stays where it is right.
NOT_ENGINE = {"testing.py", "admin.py", "apps.py", "models.py", "checks.py", "probes.py", "clock_steps.py"}
WORKFLOWS = ("instances/workflows/*.py", "instances/on_host.py")
DRIVERS = "hypervisors/**/*.py"

# Where a transaction holds a step together, or what ends in its place; elsewhere it only saves commits.
TRANSACTIONS = {"runner.py", "undoing.py", "recovery.py", "lost_hosts.py", "archive.py"}
# Calls whose answer is whether a row was hit: the queryset's and our own.
HITS = {
    "update",
    "execute",
    "take",
    "advance",
    "end",
    "turn_back",
    "begin_anew",
    "pause",
    "ring",
    "give_back",
}
LETS_GO = {"renew", "release_subjects", "give_back", "forget_subject", "erase_secret"}
NOTES = {"plan", "made", "removing", "gone", "forget", "note_made"}
# What says which row is meant, and is no condition on how it stands.
ADDRESSES = {"id", "pk", "name", "subject_id", "operation", "operation_id", "id__in", "operation_id__in"}
NOTHING = '__import__("contextlib").nullcontext()'
ANYTHING = '__import__("django").db.models.Q()'


@dataclass(frozen=True)
class Guard:
    """One guard: where it is, what it says, and the text that replaces it from `start` to `stop`."""

    file: str
    line: int
    kind: str
    text: str
    start: int
    stop: int
    instead: str

    def removed_from(self, source: str) -> str:
        """Return the source without the guard."""
        return source[: self.start] + self.instead + source[self.stop :]

    @property
    def name(self) -> str:
        """Return what identifies it for a reader."""
        return f"{self.file}:{self.line} {self.kind}: {self.text}"


def find(root: Path) -> list[Guard]:
    """Return every guard of the engine, of the workflows' tables and of the drivers."""
    found: list[Guard] = []
    for file in sorted(root.glob(ENGINE)):
        if file.name not in NOT_ENGINE:
            found += _Source(root, file).engine()
    for pattern in WORKFLOWS:
        for file in sorted(root.glob(pattern)):
            found += _Source(root, file).workflows()
    for file in sorted(root.glob(DRIVERS)):
        found += _Source(root, file).driver()
    unique = {(guard.file, guard.start, guard.stop, guard.instead): guard for guard in found}
    return sorted(unique.values(), key=lambda guard: (guard.file, guard.start))


class _Source:
    """One file, read as text and as a tree."""

    def __init__(self, root: Path, file: Path) -> None:
        self.file = str(file.relative_to(root))
        self.text = file.read_text()
        self.tree = ast.parse(self.text)
        lines = self.text.encode().split(b"\n")
        self._starts = [0]
        for line in lines:
            self._starts.append(self._starts[-1] + len(line) + 1)

    def engine(self) -> Iterator[Guard]:
        yield from self._rowcounts()
        yield from self._sql_conditions()
        yield from self._filters()
        yield from self._calls()
        if Path(self.file).name in TRANSACTIONS:
            yield from self._transactions()
        yield from self._locks()

    def workflows(self) -> Iterator[Guard]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and _called(node) == "Step":
                for word in node.keywords:
                    if word.arg == "undo":
                        yield self._guard("undo", word, 'no_undo="removed"')
        yield from self._calls()

    def driver(self) -> Iterator[Guard]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.If) and any(_raises(line, "StaleEpoch") for line in node.body):
                yield self._guard("epoch in driver", node.test, "False")

    def _rowcounts(self) -> Iterator[Guard]:
        """Whoever asks whether a row was hit is told that it was."""
        for function in self._functions():
            results = {
                target.id
                for node in ast.walk(function)
                if isinstance(node, ast.Assign) and _hits(node.value)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            for node in ast.walk(function):
                if isinstance(node, ast.If | ast.IfExp):
                    for part in ast.walk(node.test):
                        if _is_hit(part) or (isinstance(part, ast.Name) and part.id in results):
                            yield self._guard("rowcount", part, f"({self._of(part)}, True)[1]")

    def _sql_conditions(self) -> Iterator[Guard]:
        """Each condition of an UPDATE or DELETE that is not about which row is meant."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and _called(node) == "format":
                for word in node.keywords:
                    if isinstance(word.value, ast.Constant) and isinstance(word.value.value, str):
                        start, stop = self._span(word.value)
                        quote = 3 if self.text[start : start + 3] == '"""' else 1
                        yield from self._conjuncts(start + quote, stop - quote, word.value.lineno)
            elif isinstance(node, ast.Constant | ast.JoinedStr):
                start, stop = self._span(node)
                where = re.search(r"\b(UPDATE|DELETE)\b.*?\bWHERE\b", self.text[start:stop], re.DOTALL)
                if where and not isinstance(getattr(node, "value", ""), bytes):
                    yield from self._conjuncts(start + where.end(), stop, node.lineno)

    def _conjuncts(self, start: int, stop: int, _: int) -> Iterator[Guard]:
        spans = _split(self.text[start:stop])
        for first, last in spans:
            words = self.text[start + first : start + last]
            address = re.match(r"(\w+\.)?(id|name|subject_id|operation_id|project_id) (=|IN)", words)
            if address or words.startswith("{") or (len(spans) == 1 and "lease_token" in words):
                continue
            line = self.text.count("\n", 0, start + first) + 1
            text = " ".join(words.split())
            yield Guard(self.file, line, "condition", text, start + first, start + last, "TRUE")

    def _filters(self) -> Iterator[Guard]:
        """Each condition of a queryset that is updated or deleted."""
        for function in self._functions():
            assigned = {
                node.targets[0].id: node.value
                for node in ast.walk(function)
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            }
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and _called(node) in ("update", "delete"):
                    yield from self._chain(node, assigned)

    def _chain(self, node: ast.expr, assigned: dict[str, ast.expr]) -> Iterator[Guard]:
        seen: set[str] = set()
        at: ast.expr = node
        while True:
            if isinstance(at, ast.Call):
                if _called(at) in ("filter", "exclude"):
                    yield from self._arguments(at)
                at = at.func
            elif isinstance(at, ast.Attribute):
                at = at.value
            elif isinstance(at, ast.Name) and at.id in assigned and at.id not in seen:
                seen.add(at.id)
                at = assigned[at.id]
            else:
                return

    def _arguments(self, call: ast.Call) -> Iterator[Guard]:
        for word in call.keywords:
            if word.arg and word.arg not in ADDRESSES:
                neutral = "pk__isnull=True" if _called(call) == "exclude" else "pk__isnull=False"
                yield self._guard("condition", word, neutral)
        for one in call.args:
            yield self._guard("condition", one, ANYTHING)

    def _calls(self) -> Iterator[Guard]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                of, called = _owner(node.value), _called(node.value)
                if (of == "footprints" and called in NOTES) or called == "note_made":
                    yield self._guard("footprint", node, "None")
                elif of == "step" and called == "undo":
                    yield self._guard("undo", node, "None")
                elif of == "ledger" and called in LETS_GO:
                    yield self._guard("lease", node, "None")

    def _transactions(self) -> Iterator[Guard]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.With):
                for item in node.items:
                    if isinstance(item.context_expr, ast.Call) and _called(item.context_expr) == "atomic":
                        yield self._guard("transaction", item.context_expr, NOTHING)

    def _locks(self) -> Iterator[Guard]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and _owner(node) == "PROCESS" and _called(node) == "lock":
                yield self._guard("lock", node, f"({self._of(node)}, True)[1]")
            if isinstance(node, ast.Call) and _called(node) == "flock":
                yield self._guard("lock", node, "None")
            if isinstance(node, ast.FunctionDef) and node.name in ("lock", "unlock"):
                for inner in ast.walk(node):
                    if isinstance(inner, ast.If):
                        yield self._guard("lock", inner.test, "False")
            if isinstance(node, ast.With) and "PROCESS.running" in self._of(node.items[0].context_expr):
                yield self._guard("lease", node.items[0].context_expr, NOTHING)

    def _functions(self) -> Iterator[ast.FunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef):
                yield node

    def _guard(self, kind: str, node: ast.expr | ast.stmt | ast.keyword, instead: str) -> Guard:
        start, stop = self._span(node)
        text = " ".join(self.text[start:stop].split())
        return Guard(self.file, node.lineno, kind, text, start, stop, instead)

    def _of(self, node: ast.expr) -> str:
        start, stop = self._span(node)
        return self.text[start:stop]

    def _span(self, node: ast.expr | ast.stmt | ast.keyword) -> tuple[int, int]:
        """Return where the node begins and ends in the text; the tree counts bytes of a line."""
        assert node.end_lineno is not None and node.end_col_offset is not None
        data = self.text.encode()
        first = self._starts[node.lineno - 1] + node.col_offset
        last = self._starts[node.end_lineno - 1] + node.end_col_offset
        return len(data[:first].decode()), len(data[:last].decode())


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _owner(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
        return call.func.value.id
    return ""


def _is_hit(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _called(node) in HITS


def _hits(value: ast.AST) -> bool:
    return any(_is_hit(node) for node in ast.walk(value))


def _raises(line: ast.stmt, error: str) -> bool:
    if not isinstance(line, ast.Raise) or line.exc is None:
        return False
    raised = line.exc.func if isinstance(line.exc, ast.Call) else line.exc
    return isinstance(raised, ast.Name) and raised.id == error


def _split(words: str) -> list[tuple[int, int]]:
    """Return where each condition of a WHERE begins and ends: ANDed, outside of brackets, up to its end."""
    spans, depth, first, at = [], 0, 0, 0
    for match in re.finditer(r"[()]|\bAND\b|\bRETURNING\b|\bORDER BY\b|\"\"\"|\"|$", words):
        token, at = match.group(), match.start()
        if token == "(":
            depth += 1
        elif token == ")":
            depth -= 1
        elif depth == 0:
            spans.append((first, at))
            first = match.end()
            if token != "AND":
                break
    trimmed = []
    for start, stop in spans:
        text = words[start:stop]
        inner = (start + len(text) - len(text.lstrip()), start + len(text.rstrip()))
        if inner[0] < inner[1]:
            trimmed.append(inner)
    return trimmed
