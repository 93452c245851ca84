"""What a view's method takes and answers, read from its source: the calls by which views validate and answer.

So nothing is declared a second time. A call is followed into the view's other methods; what is no literal is left out.
"""

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from computecloud.wire.views import ApiView

_READS = {"payload": "", "body": "body", "query": "query", "check": "check"}


@dataclass(slots=True)
class Read:
    """What was found: serializers of the body (with the key above it), of the query and of parts; keys of answers."""

    bodies: list[tuple[type, str]] = field(default_factory=list)
    queries: list[type] = field(default_factory=list)
    parts: list[type] = field(default_factory=list)
    has_payload: bool = False
    statuses: set[int] = field(default_factory=set)
    keys: list[str] = field(default_factory=list)
    resources: list[tuple[str, str]] = field(default_factory=list)


def method(view: type[ApiView], name: str) -> Read:
    """Return what a view's method takes and answers."""
    found = Read()
    _read(getattr(view, name), view, found, set())
    return found


def function(called: Callable[..., Any], view: type[ApiView]) -> Read:
    """Return what a function does that is given the view as its first argument."""
    found = Read()
    _read(called, view, found, set())
    return found


def _read(called: Callable[..., Any], view: type[ApiView], found: Read, seen: set[str]) -> None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(called)))
    names = vars(sys.modules[called.__module__])
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            found.keys += filter(None, map(_text, node.keys))
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        name = node.func.attr
        if name in ("project", "projection"):
            found.resources += _resource(node)
        elif name == "answer":
            found.statuses |= set(_statuses(node))
        elif name in _READS:
            _take(name, node, names, found)
        elif _is_self(node.func.value) and name not in seen and name in _own(view):
            seen.add(name)
            _read(getattr(view, name), view, found, seen)


def _take(name: str, node: ast.Call, names: dict[str, Any], found: Read) -> None:
    if name == "payload":
        found.has_payload = True
        return
    serializer = names.get(node.args[0].id) if node.args and isinstance(node.args[0], ast.Name) else None
    if not isinstance(serializer, type):
        return
    if name == "query":
        found.queries.append(serializer)
    elif name == "check":
        found.parts.append(serializer)
    else:
        given = [*node.args[1:], *(word.value for word in node.keywords if word.arg == "key")]
        found.bodies.append((serializer, next(filter(None, map(_text, given)), "")))


def _resource(node: ast.Call) -> Iterator[tuple[str, str]]:
    given = [_text(one) for one in node.args[:2]]
    if given and given[0]:
        yield given[0], (given[1:] or [""])[0] or "detail"


def _statuses(node: ast.Call) -> Iterator[int]:
    given = [word.value for word in node.keywords if word.arg == "status"] + node.args[1:2]
    values = [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, int)]
    yield from values or [200]


def _own(view: type[ApiView]) -> set[str]:
    """Return the names of the methods that a view has of its own, or from its room's classes."""
    shared = set(dir(ApiView))
    return {name for name in dir(view) if name not in shared and inspect.isfunction(getattr(view, name))}


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "view")


def _text(node: ast.expr | None) -> str:
    """Return a literal's text, empty for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
