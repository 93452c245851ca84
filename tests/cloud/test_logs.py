"""The log lines of a whole boot, over all processes: JSON each, and bound together by the ids that the tenant sees."""

import json
from typing import Any

import pytest

from tests.cloud.cloud import Cloud, until
from tests.cloud.servers import boot

pytestmark = pytest.mark.cloud

PROCESSES = ("web", "control", "host-fake-1", "host-fake-2")


def sizes(cloud: Cloud) -> dict[str, int]:
    """Return how long each process's log is."""
    return {name: (cloud.state / "log" / f"{name}.log").stat().st_size for name in PROCESSES}


def lines_since(cloud: Cloud, before: dict[str, int]) -> dict[str, list[dict[str, Any]]]:
    """Return the lines that were written since, by process; each must be whole JSON."""
    found = {}
    for name, size in before.items():
        with (cloud.state / "log" / f"{name}.log").open() as log:
            log.seek(size)
            found[name] = [json.loads(line) for line in log.read().splitlines()]
    return found


def test_every_line_of_a_boot_tells_whose_it_is(fake_cloud: Cloud) -> None:
    before = sizes(fake_cloud)
    server = boot(fake_cloud, networks="none")
    server.await_status("ACTIVE")
    path = f"/compute/v2.1/servers/{server.id}/os-instance-actions"
    [action] = fake_cloud.admin.get(path)["instanceActions"]
    request_id = action["request_id"]

    def steps() -> list[dict[str, Any]]:
        lines = [line for lines in lines_since(fake_cloud, before).values() for line in lines]
        return [
            line for line in lines if line["event"] == "step.ended" and line.get("request_id") == request_id
        ]

    until(lambda: len(steps()) == 4, 10, "each step to be logged")
    logs = lines_since(fake_cloud, before)
    for line in (line for lines in logs.values() for line in lines):
        assert {"event", "level", "timestamp"} <= set(line), line
    [accepted] = [line for line in logs["web"] if line["event"] == "operation.accepted"]
    [answered] = [
        line
        for line in logs["web"]
        if line["event"] == "request.answered" and line.get("request_id") == request_id
    ]
    assert answered["method"] == "POST"
    assert accepted["request_id"] == request_id
    assert {line["step"] for line in steps()} == {"place", "image", "disks", "start"}
    for line in steps():
        assert (line["operation_id"], line["subject_id"]) == (accepted["operation_id"], server.id)
        assert (line["kind"], line["outcome"]) == ("create", line["outcome"])
    assert [line["step"] for line in logs["control"] if line["event"] == "step.ended"] == ["place"]
    server.delete()
    server.await_gone()
