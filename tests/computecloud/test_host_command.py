"""computecloud host and explain: what an operator reads and changes, from the database alone."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from django.db import connection
from django.test.utils import CaptureQueriesContext

from computecloud.cli.app import computecloud
from computecloud.config import CONFIG
from instances import hosts as usage
from instances.models import Instance
from scheduling import place
from scheduling.filters import FILTERS
from tests.scheduling.conftest import facts, host_with, request  # noqa: F401 — a fixture
from workers.models import Host


@pytest.fixture
def run(db: None) -> Callable[..., Result]:
    """Return what runs a command on the tests' own state folder."""
    Path(CONFIG.state, "settings.env").touch()

    def call(*words: str) -> Result:
        return CliRunner().invoke(computecloud, words)

    return call


def placed(**wanted: object) -> Instance:
    """Return a server, and decide on its place."""
    server = Instance.objects.create(
        id=uuid.uuid4(), number=1, name="web-1", project_id="p", user_id="u", vm_state="active", flavor={}
    )
    asked = request(consumer_id=server.id, **wanted)
    ranking = place.rank(asked)
    if ranking.best:
        node = place.claim_best(asked, ranking, uuid.uuid4())
        Instance.objects.filter(id=server.id).update(host=node.host, node=node.name)
    else:
        place.explain_failure(asked, ranking, uuid.uuid4())
    return server


def test_hosts_are_listed_with_how_full_they_are(run, host_with):  # noqa: F811
    host_with("one", facts("n1"), facts("n2"))
    host_with("two", alive=False, enabled=False, disabled_reason="a disk is dying")
    placed()
    (one, two) = json.loads(run("host", "list", "--json").output)
    assert (one["name"], one["state"], one["enabled"], one["nodes"], one["servers"]) == (
        "one",
        "up",
        True,
        2,
        1,
    )
    assert one["capacity"]["VCPU"] == {"used": 1, "total": 2 * 4 * 16}
    assert (two["state"], two["enabled"], two["disabled_reason"]) == ("down", False, "a disk is dying")
    shown = run("host", "list").output
    assert "no: a disk is dying" in shown and "1/128" in shown


def test_the_list_takes_as_many_queries_for_many_hosts_as_for_few(run, host_with):  # noqa: F811
    counts = []
    for names in (range(2), range(2, 40)):
        for number in names:
            host_with(f"h{number}")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            usage.with_usage()
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 4


def test_a_host_is_shown_with_what_is_on_it(run, host_with):  # noqa: F811
    host_with("one", facts("n1"))
    server = placed()
    document = json.loads(run("host", "show", "one", "--json").output)
    assert (document["node_names"], document["server_ids"]) == (["n1"], [str(server.id)])
    assert str(server.id) in run("host", "show", "one").output


def test_a_host_is_disabled_with_a_reason_and_enabled_again(run, host_with):  # noqa: F811
    host_with("one")
    assert run("host", "disable", "one").exit_code == 2, "a reason is required"
    for bad in ("", " ", "x" * 256, "two\nlines"):
        refused = run("host", "disable", "one", "--reason", bad)
        assert refused.exit_code == 1 and "reason of 1 to 255" in refused.output
    assert Host.objects.get(name="one").enabled
    assert run("host", "disable", "one", "--reason", "new memory").exit_code == 0
    host = Host.objects.get(name="one")
    assert (host.enabled, host.disabled_reason) == (False, "new memory")
    assert run("host", "enable", "one").exit_code == 0
    host.refresh_from_db()
    assert (host.enabled, host.disabled_reason) == (True, "")


@pytest.mark.parametrize("words", [("show",), ("enable",), ("disable", "--reason", "r")])
def test_a_host_that_is_not_there_is_refused_in_words(run, words):
    refused = run("host", *words, "nowhere")
    assert refused.exit_code == 1
    assert "Host nowhere could not be found" in refused.output and "host list" in refused.output


def test_explain_tells_every_rule_s_verdict_and_the_weights(run, host_with):  # noqa: F811
    host_with("off", facts("n-off"), enabled=False)
    host_with("dead", facts("n-dead"), alive=False)
    host_with("small", facts("n-small"))
    host_with("large", facts("n-large", memory_mib=32_768))
    server = placed()
    document = json.loads(run("explain", "web-1", "--json").output)
    (decision,) = document["decisions"]
    assert (document["node"], decision["node"], decision["considered"]) == ("n-large", "n-large", 4)
    verdicts = {verdict["rule"]: verdict for verdict in decision["verdicts"]}
    assert list(verdicts) == [rule.name for rule in FILTERS]
    assert (verdicts["enabled"]["nodes"], verdicts["up"]["nodes"]) == (["n-off"], ["n-dead"])
    assert [verdict["left"] for verdict in decision["verdicts"]][-1] == 2
    shown = run("explain", str(server.id)).output
    assert "n-large was chosen: it weighed most" in shown
    assert "enabled: removed 1, on a disabled host: n-off; 3 left" in shown
    assert "capacity: removed none; 2 left" in shown


def test_explain_says_why_a_server_is_nowhere(run, host_with):  # noqa: F811
    host_with("one", facts("n1"))
    placed(resources={"VCPU": 1_000})
    shown = run("explain", "web-1").output
    assert "on no node" in shown and "of 1 node none was left" in shown
    assert "capacity: removed 1, without enough free processors, memory or disk: n1; 0 left" in shown


def test_explain_of_what_is_not_there_is_refused(run):
    for unknown in ("nobody", str(uuid.uuid4())):
        refused = run("explain", unknown)
        assert refused.exit_code == 1 and f"there is no server {unknown}" in refused.output


def test_operations_are_printed_for_programs_too(run, db):
    assert json.loads(run("operation", "list", "--json").output) == []
    assert run("operation", "show", str(uuid.uuid4()), "--json").exit_code == 1


def test_every_command_helps(run):
    for words in (
        (),
        ("host",),
        ("host", "disable"),
        ("explain",),
        ("operation", "list"),
        ("operation", "retry"),
    ):
        shown = run(*words, "--help")
        assert shown.exit_code == 0 and "Usage:" in shown.output
