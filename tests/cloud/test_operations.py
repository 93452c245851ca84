"""`computecloud operation` on a cloud of real processes: an operator sees what waits, ends it, and hurries it."""

import json

import pytest

from tests.cloud.cloud import Cloud
from tests.cloud.servers import boot

pytestmark = pytest.mark.cloud


def test_an_operator_lists_shows_and_cancels(fake_cloud: Cloud) -> None:
    fake_cloud.stop("control")
    try:
        server = boot(fake_cloud)
        listed = fake_cloud.run("operation", "list", "--waiting", "--server", server.id)
        assert listed.returncode == 0, listed.stderr
        (operation,) = [line.split()[0] for line in listed.stdout.splitlines() if " create " in line]
        shown = fake_cloud.run("operation", "show", operation)
        assert "step place waits for a control worker" in shown.stdout
        cancelled = fake_cloud.run("operation", "cancel", operation)
        assert cancelled.returncode == 0, cancelled.stderr
        hurried = fake_cloud.run("operation", "retry", operation)
        assert hurried.returncode == 0, hurried.stderr
    finally:
        fake_cloud.start("control")
    server.await_status("ERROR")
    ended = fake_cloud.run("operation", "show", operation)
    assert "cancelled by an operator" in ended.stdout
    again = fake_cloud.run("operation", "cancel", operation)
    assert again.returncode == 1
    assert "has ended" in again.stderr
    server.delete()
    server.await_gone()


@pytest.mark.parametrize(
    ("option", "advice"), [("--kind", "choose among: create, delete"), ("--host", "host list")]
)
def test_what_is_written_wrongly_is_said_to_be_and_not_taken_for_an_empty_list(
    fake_cloud: Cloud, option: str, advice: str
) -> None:
    refused = fake_cloud.run("operation", "list", option, "creat")
    assert refused.returncode == 1
    assert "creat" in refused.stderr
    assert advice in refused.stderr
    assert refused.stdout == ""


def test_doctor_speaks_json_to_a_monitor(fake_cloud: Cloud) -> None:
    said = fake_cloud.doctor("--json")
    assert said.returncode == 0, said.stdout + said.stderr
    document = json.loads(said.stdout)
    assert document["status"] == "holds"
    assert {one["status"] for one in document["invariants"]} == {"holds"}
    assert len(document["invariants"]) > 30
