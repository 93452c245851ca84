"""The look from outside: what it compares, and that it stays outside."""

import ast
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

from tests.cloud import leftovers

FILE = Path(leftovers.__file__)


def test_it_imports_nothing_but_pythons_own_library() -> None:
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(FILE.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names


def test_what_came_and_what_went_and_what_changed_its_number_is_told() -> None:
    before = {"link": {"lo": 1, "gone": 1}, "row": {"charges": 1}}
    after = {"link": {"lo": 1}, "row": {"charges": 2}, "disk": {"hosts/a/guests/b/root.qcow2": 1}}
    assert leftovers.compare(before, before) == []
    assert leftovers.compare(before, after) == [
        "disk: hosts/a/guests/b/root.qcow2: 0 before, 1 now",
        "link: gone: 1 before, 0 now",
        "row: charges: 1 before, 2 now",
    ]


def test_a_rule_is_the_same_whatever_it_counted_and_wherever_its_elements_stand() -> None:
    def rule(handle: int, packets: int, *elements: str) -> dict[str, object]:
        counter = {"counter": {"packets": packets, "bytes": 1}}
        return {"set": {"handle": handle, "name": "tenants", "elem": list(elements), "expr": [counter]}}

    one, same, other = rule(1, 7, "a", "b"), rule(2, 9, "b", "a"), rule(1, 7, "a")
    assert leftovers._lasting(one) == leftovers._lasting(same)
    assert leftovers._lasting(one) != leftovers._lasting(other)


def test_files_and_fake_guests_are_found_without_a_cloud_that_runs(tmp_path: Path) -> None:
    disk = tmp_path / "hosts" / "a" / "guests" / "b" / "root.qcow2"
    disk.parent.mkdir(parents=True)
    disk.touch()
    fakes = tmp_path / "hosts" / "f" / "fake"
    fakes.mkdir(parents=True)
    connection = sqlite3.connect(fakes / "guests.sqlite3")
    with connection:
        connection.execute("CREATE TABLE guest (node, uuid, defined, folder)")
        connection.execute("INSERT INTO guest VALUES ('n', 'u', 1, 0)")
    connection.close()
    seen = leftovers.snapshot(tmp_path)
    assert seen["disk"] == {"hosts/a/guests/b/root.qcow2": 1}
    assert seen["fake guest"] == {"n u defined=1 folder=0": 1}
    assert seen["row"] == seen["message in queue"] == {}


def test_as_a_command_it_prints_a_snapshot_and_then_what_differs_from_it(tmp_path: Path) -> None:
    state, before = tmp_path / "state", tmp_path / "before.json"
    guests = state / "hosts" / "a" / "guests"
    guests.mkdir(parents=True)

    def ask(*words: Path) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(FILE), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    before.write_text(json.dumps(json.loads(ask(state).stdout) | {"link": {}}))
    (guests / "planted").touch()
    found = ask(state, before)
    assert found.returncode == 1
    assert "disk: hosts/a/guests/planted: 0 before, 1 now" in found.stdout
    assert ask().returncode == 1
