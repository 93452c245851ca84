"""Request ids: on every answer, log line and to whoever asks."""

import re
from typing import Any

import pytest
import structlog
from django.test import Client

from computecloud.wire import middleware, requestid

ID = re.compile(r"req-[0-9a-f-]{36}")
GIVEN = "req-01234567-89ab-cdef-0123-456789abcdef"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nowhere",
        "/compute/v2.1/things",
        "/compute/v2.1/no",
        "/compute/v2.1/failing/boom",
        "/identity/v3",
    ],
)
def test_every_answer_has_an_id(client: Client, path: str) -> None:
    answer = client.get(path)
    assert ID.fullmatch(answer.headers["x-openstack-request-id"])
    assert answer.headers["x-compute-request-id"] == answer.headers["x-openstack-request-id"]


def test_ids_differ(client: Client) -> None:
    assert len({client.get("/").headers["x-openstack-request-id"] for _ in range(5)}) == 5


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The log lines of the middleware, as they come."""
    found: list[dict[str, Any]] = []

    def keep(_logger: object, _method: str, event: Any) -> Any:
        found.append(dict(event))
        raise structlog.DropEvent

    processors = [structlog.contextvars.merge_contextvars, keep]
    every_level = structlog.make_filtering_bound_logger(0)
    logger = structlog.wrap_logger(structlog.ReturnLogger(), processors, every_level)
    monkeypatch.setattr(middleware, "log", logger)
    return found


def test_each_request_is_one_log_line(lines: list[dict[str, Any]], client: Client) -> None:
    answer = client.get("/compute/v2.1/failing/Conflict")
    [line] = lines
    assert line["request_id"] == answer.headers["x-openstack-request-id"]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/compute/v2.1/failing/Conflict", 409)
    assert (line["user_id"], line["project_id"]) == ("u1", "a" * 32)


@pytest.mark.parametrize("given", [GIVEN, "req-nonsense", "x" * 5_000, GIVEN + "\n"])
def test_only_a_well_formed_global_id_is_taken(
    lines: list[dict[str, Any]], client: Client, given: str
) -> None:
    answer = client.get("/", headers={"X-OpenStack-Request-ID": given})
    assert answer.headers["x-openstack-request-id"] != given
    [line] = lines
    assert line.get("global_request_id") == (GIVEN if given == GIVEN else None)


def test_outside_a_request_every_id_is_fresh() -> None:
    assert requestid.current() != requestid.current()
    requestid.bind(GIVEN)
    assert requestid.current() == GIVEN
    requestid.bind("")
