"""Differences between versions are declared: nobody outside the wire compares version numbers."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("computecloud", "identity", "workers", "quotas", "scheduling", "networking", "images", "instances")
WIRE = ROOT / "computecloud" / "wire"


def branches(source: str) -> list[int]:
    """Return the lines that compare something called version, or that import Version to do so."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            parts = (node.left, *node.comparators)
            if any(map(_is_version, parts)) and not any(map(_is_whole_number, parts)):
                found.append(node.lineno)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("computecloud.wire"):
            found += [node.lineno for name in node.names if name.name == "Version"]
    return found


def _is_whole_number(node: ast.expr) -> bool:
    """Tell whether node is e.g. the 6 of an IP version."""
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


def _is_version(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return _is_version(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr in ("version", "api_version", "microversion") and _is_request_like(node.value)
    return isinstance(node, ast.Name) and node.id in ("microversion", "api_version", "Version")


def _is_request_like(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "request", "view", "edition")


@pytest.mark.parametrize("room", ROOMS)
def test_nobody_compares_versions(room: str) -> None:
    offences = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / room).rglob("*.py"))
        if WIRE not in path.parents
        for line in branches(path.read_text())
    ]
    assert offences == []


@pytest.mark.parametrize(
    "line",
    [
        "if self.version >= (2, 19): pass",
        "x = Version.parse('2.1') < request.version",
        "from computecloud.wire.services import Version",
        "y = 1 if self.api_version == '2.1' else 2",
    ],
)
def test_a_comparison_would_be_seen(line: str) -> None:
    assert branches(line)
