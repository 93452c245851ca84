"""Metrics, health and readiness: what a monitor sees, who may, and that rules and dashboard name what is measured."""

import json
import re
import shutil
import subprocess
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families

from computecloud import metrics
from computecloud.config import CONFIG, ROOT
from computecloud.monitoring import scraping
from tests.scheduling.conftest import facts, host_with  # noqa: F401 — a fixture
from tests.workers import toy  # noqa: F401 — registers its workflow
from workers import acceptance, clock, pulse
from workers.models import Operation, Pulse, utc_now
from workers.testing import Drive, failure

MONITORING = ROOT / "deploy" / "monitoring"
RULES = MONITORING / "alerts.yml"


def scrape() -> dict[tuple[str, frozenset], float]:
    answer = Client().get("/metrics")
    assert answer.status_code == 200, answer.content
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def figure(found: dict, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


def accept(**params) -> Operation:
    return acceptance.accept(
        kind="toy", subject=("toy", uuid.uuid4()), project_id="p", user_id="u", params=params
    )


@pytest.mark.django_db
def test_a_request_is_counted_by_its_route_and_never_by_its_path():
    labels = {"api": "compute", "method": "GET", "status": "401"}
    before = scrape()
    for _ in range(3):
        Client().get(f"/compute/v2.1/servers/{uuid.uuid4()}")
    Client().get(f"/nowhere/{uuid.uuid4()}")
    after = scrape()
    [(_name, key)] = [
        one
        for one in after
        if one[0] == "computecloud_requests_total"
        and set(labels.items()) <= one[1]
        and figure(before, *one[:1], **dict(one[1])) + 3 == after[one]
    ]
    route = dict(key)["route"]
    assert "servers/" in route and "<" in route
    timed = {"api": "compute", "method": "GET", "route": route}
    assert figure(after, "computecloud_request_seconds_count", **timed) >= 3
    assert (
        figure(after, "computecloud_requests_total", api="none", method="GET", route="none", status="404")
        >= 1
    )
    assert not [key for _, key in after if re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", str(key))]


@pytest.mark.django_db
def test_an_invented_method_is_no_new_series():
    Client().generic("BREW", "/compute/v2.1/servers")
    assert not [key for _, key in scrape() if ("method", "BREW") in key]


@pytest.mark.django_db(transaction=True)
def test_operations_and_steps_are_counted_when_they_have_ended():
    before = scrape()
    Drive(accept().id).run()
    Drive(accept().id, [failure("toy.two.done", retryable=False)]).run()
    after = scrape()

    def grown(name: str, **labels: str) -> float:
        return figure(after, name, **labels) - figure(before, name, **labels)

    assert grown("computecloud_operations_total", kind="toy", outcome="succeeded") == 1
    assert grown("computecloud_operations_total", kind="toy", outcome="failed") == 1
    count = "computecloud_step_seconds_count"
    assert grown(count, kind="toy", step="one", direction="do", outcome="success") == 2
    assert grown(count, kind="toy", step="two", direction="do", outcome="error") >= 1
    assert grown(count, kind="toy", step="one", direction="undo", outcome="success") == 1


@pytest.mark.django_db
def test_the_age_of_queues_and_leases_and_what_is_overdue(monkeypatch):
    Operation.objects.all().delete()
    now = clock.now()
    for values in (
        {"dispatched_at": now - 30},
        {"dispatched_at": now - 50, "host": "one"},
        {"dispatched_at": now - 99, "run_after": now + 99},  # not due
        {"lease_token": "t", "leased_at": now - 20, "state": "running"},
        {"admitted": False},
        {"deadline": now - 1},
    ):
        Operation.objects.create(kind="toy", subject_type="toy", subject_id=uuid.uuid4(), **values)
    found = scrape()
    assert figure(found, "computecloud_queue_age_seconds", queue="control") == pytest.approx(30, abs=5)
    assert figure(found, "computecloud_queue_age_seconds", queue="host") == pytest.approx(50, abs=5)
    assert figure(found, "computecloud_lease_age_seconds") == pytest.approx(20, abs=5)
    assert figure(found, "computecloud_operations_active", state="pending") == 5
    assert figure(found, "computecloud_operations_waiting") == 1
    assert figure(found, "computecloud_operations_overdue") == 1


@pytest.mark.django_db
def test_hosts_and_capacity_are_told(host_with):  # noqa: F811
    host_with("one", facts("n1"), heartbeat_at=utc_now() - timedelta(seconds=40))
    host_with("two", enabled=False)
    host_with("three", alive=False)
    found = scrape()
    states = {state: figure(found, "computecloud_hosts", state=state) for state in ("up", "down", "disabled")}
    assert states == {"up": 1, "down": 1, "disabled": 1}
    assert figure(found, "computecloud_heartbeat_age_seconds", host="one") == pytest.approx(40, abs=5)
    assert (
        figure(found, "computecloud_capacity_total", resource_class="VCPU")
        == 2 * 4 * CONFIG.cpu_allocation_ratio
    )
    assert figure(found, "computecloud_capacity_used", resource_class="VCPU") == 0


@pytest.mark.django_db
def test_a_scrape_takes_as_many_queries_for_a_thousand_operations_as_for_ten(host_with):  # noqa: F811
    counts = []
    for number in (10, 990):
        Operation.objects.bulk_create(
            Operation(kind="toy", subject_type="toy", subject_id=uuid.uuid4()) for _ in range(number)
        )
        host_with(f"h{number}")
        with CaptureQueriesContext(connection) as queries:
            scrape()
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 4


@pytest.mark.parametrize(
    ("address", "sent", "allowed"),
    [
        ("127.0.0.1", "", False),
        ("10.1.2.3", "", True),
        ("::ffff", "", False),
        ("192.0.2.1", "", False),
        ("192.0.2.1", "Bearer right", True),
        ("192.0.2.1", "Bearer wrong", False),
        ("192.0.2.1", "right", False),
    ],
)
def test_metrics_are_for_a_network_or_a_token_alone(address: str, sent: str, allowed: bool):
    request = RequestFactory().get("/metrics", REMOTE_ADDR=address, HTTP_AUTHORIZATION=sent)
    assert scraping.may_scrape(request, token="right", networks="10.0.0.0/8") is allowed


@pytest.mark.django_db
def test_a_stranger_is_refused_and_no_header_makes_him_a_neighbour():
    answer = Client(REMOTE_ADDR="192.0.2.1").get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"})
    assert answer.status_code == 401 and b"computecloud_" not in answer.content
    assert not scraping.may_scrape(
        RequestFactory().get("/", REMOTE_ADDR="192.0.2.1", HTTP_AUTHORIZATION="Bearer "),
        token="",
        networks="",
    )


def test_health_needs_nothing():
    assert Client().get("/healthz").json() == {"status": "ok"}


@pytest.mark.django_db
def test_readiness_says_what_is_missing():
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["missing"]) == (503, ["beat"])
    assert "never heard" in answer.json()["parts"]["beat"]
    pulse.note(pulse.BEAT)
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["status"], answer.json()["missing"]) == (200, "ready", [])
    Pulse.objects.update(at=utc_now() - timedelta(seconds=pulse.BEAT_SILENT_S + 5))
    assert "s ago" in Client().get("/readyz").json()["parts"]["beat"]


def series_in(text: str) -> set[str]:
    return set(re.findall(r"\bcomputecloud_\w+", text))


def test_the_alert_rules_and_the_dashboard_name_only_what_is_measured():
    known = set(metrics.names())
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(asked) > 10
    assert series_in(RULES.read_text()) - known == set()
    assert series_in(" ".join(asked)) - known == set()
    assert known - series_in(RULES.read_text() + " ".join(asked)) <= {
        name for name in known if name.endswith(("_sum", "_count", "_bucket"))
    }, "what nobody looks at need not be measured"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="bin/test installs prometheus for it")
def test_prometheus_takes_the_rules_and_fires_them_when_it_should():
    for words in (("check", "rules", str(RULES)), ("test", "rules", str(MONITORING / "alerts.test.yml"))):
        done = subprocess.run(
            ["promtool", *words], capture_output=True, text=True, check=False, cwd=MONITORING
        )
        assert done.returncode == 0, done.stdout + done.stderr


COUNT = """
import os, sys
os.environ["COMPUTECLOUD_ROLE"] = sys.argv[1]
from computecloud import metrics
metrics.operation_ended("toy", "succeeded")
samples = [one for family in metrics.scraped().collect() for one in family.samples]
print(sum(one.value for one in samples if one.name == "computecloud_operations_total"), flush=True)
sys.stdin.read()
"""


def test_processes_count_together_and_go_on_where_they_stopped(tmp_path: Path):
    def begin(role: str) -> subprocess.Popen:
        environment = {
            "COMPUTECLOUD_STATE_DIR": str(tmp_path),
            "COMPUTECLOUD_SECRET_KEY": "k",
            "COMPUTECLOUD_HOST_NAME": "h",
        }
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        program = [str(Path(ROOT, ".venv/bin/python")), "-c", COUNT, role]
        return subprocess.Popen(program, env=environment, cwd=ROOT, **pipes)

    seen = []
    living = []
    for role in ("control", "control", "host"):
        living.append(begin(role))
        seen.append(living[-1].stdout.readline().strip())
    assert seen == ["1.0", "2.0", "3.0"]
    for process in living:
        process.communicate("")
    files = sorted(file.name for file in (tmp_path / "metrics").iterdir())
    again = begin("control")
    assert again.stdout.readline().strip() == "4.0"
    again.communicate("")
    assert sorted(file.name for file in (tmp_path / "metrics").iterdir()) == files
