"""computecloud audit: what is due when, what was found last, and running one now."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from computecloud.cli.app import computecloud
from computecloud.config import CONFIG
from workers import audits
from workers.models import AuditRun, AuditSchedule, Host


@pytest.fixture
def run(db: None) -> Callable[..., Result]:
    """Return what runs a command on the tests' own state folder."""
    Path(CONFIG.state, "settings.env").touch()

    def call(*words: str) -> Result:
        return CliRunner().invoke(computecloud, words)

    return call


def test_audits_are_listed_with_their_schedule_and_last_run(run):
    audits.run("capacity", pause=lambda _s: None)
    audits.schedules()
    AuditSchedule.objects.filter(name="power").update(enabled=False)
    listed = {one["name"]: one for one in json.loads(run("audit", "list", "--json").output)}
    assert set(listed) == set(audits.registered())
    assert listed["capacity"]["last_run"]["state"] == "done"
    assert listed["guests"]["last_run"] is None
    table = run("audit", "list").output
    assert "off" in table
    assert "never" in table


def test_an_audit_of_hosts_is_rung_for(run):
    done = run("audit", "run", "power")
    assert done.exit_code == 0, done.output
    assert "runs on every host" in done.output
    assert AuditSchedule.objects.get(name="power").rung_by == "an operator"


def test_what_cannot_be_run_is_refused_in_words(run):
    unknown = run("audit", "run", "nothing")
    assert unknown.exit_code != 0
    assert "There is no audit nothing" in unknown.output
    Host.objects.create(name="down", alive=False)
    refused = run("audit", "run", "power", "--host", "down")
    assert refused.exit_code != 0
    assert "is down" in refused.output
    assert AuditRun.objects.get().state == "skipped"
