"""The first page says how the cloud is, at the same cost for any number of hosts, servers and operations."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from computecloud.pages import charts, first
from computecloud.pages.charts import Column, Part
from instances.models import Instance
from scheduling.models import Inventory
from tests.faults.world import World
from tests.pages.conftest import LogIn
from workers import audits
from workers.models import Host, Operation, State, utc_now
from workers.testing import Drive, failure


def ended(kind: str, state: State, at: datetime, error: str = "") -> Operation:
    return Operation.objects.create(
        kind=kind, state=state, subject_type="instance", subject_id=uuid.uuid4(), finished_at=at, error=error
    )


def test_it_says_how_the_cloud_is(world: World, log_in: LogIn):
    world.active()
    _, operation = world.boot()
    Drive(operation.id, [failure("create.wire.done", retryable=False, times=9)]).run()
    world.boot()
    Host.objects.create(name="gone", alive=False)
    audits.run("capacity", pause=lambda _s: None)
    page = log_in("operator").get(reverse("admin:index")).content.decode()
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    for said in ("1 hosts up", "1 hosts down", "1 in error", "1 in a day, 1 failed", "1 operations at work"):
        assert said in words, said
    assert "waits for a control worker" in words
    assert "create: " in words


def test_figures_count_each_host_once(world: World):
    Host.objects.create(name="off", alive=True, enabled=False)
    Host.objects.create(name="dead", alive=False)
    Host.objects.create(name="forced", alive=False, forced_down=True, enabled=False)
    numbers = {figure.words: figure.number for figure in first.page().figures}
    assert (numbers["hosts up"], numbers["disabled"], numbers["hosts down"]) == (1, 1, 2)


def test_capacity_counts_only_what_takes_guests(world: World):
    world.active()
    said = {share.words: share.said for share in first.page().capacity}
    ratio = Inventory.objects.filter(resource_class="VCPU").first()
    assert ratio is not None
    assert said["Processors"].startswith("1 of ")
    Host.objects.update(enabled=False)
    said = {share.words: share.said for share in first.page().capacity}
    assert said["Processors"].startswith("0 of 0")


def test_boots_are_counted_in_the_hour_in_which_they_ended(world: World):
    now = datetime(2026, 11, 27, 12, 30, tzinfo=UTC)
    for minutes in (5, 40, 50, 25 * 60):
        ended("create", State.SUCCEEDED, now - timedelta(minutes=minutes))
    ended("create", State.FAILED, now - timedelta(minutes=5))
    ended("stop", State.SUCCEEDED, now - timedelta(minutes=5))
    counted = first.boots_per_hour(now)
    assert len(counted) == 24
    assert list(counted.values())[-2:] == [(2, 0), (1, 1)]
    assert sum(well for well, _ in counted.values()) == 3


def test_hours_that_are_over_are_counted_once(world: World):
    now = utc_now()
    first.boots_per_hour(now)
    with CaptureQueriesContext(connection) as queries:
        first.boots_per_hour(now)
    assert len(queries) == 2  # this hour, and the one before


def test_failures_of_one_cause_are_one_reason():
    one = first.reason(f"guest {uuid.uuid4()} did not start within 60 s\nat line 3")
    other = first.reason(f"guest {uuid.uuid4()} did not start within 90.5 s")
    assert one == other == "guest … did not start within n s"
    assert first.reason("") == "no reason given"


def test_reasons_are_counted(world: World):
    now = utc_now()
    for number in range(3):
        ended("start", State.FAILED, now, f"host h{number} is down")
    ended("stop", State.FAILED, now, "no such guest")
    ended("stop", State.FAILED, now - timedelta(hours=25), "long ago")
    assert [(words, count) for words, count, _ in first.page().failures] == [
        ("start: host hn is down", 3), ("stop: no such guest", 1)
    ]  # fmt: skip


def test_what_an_error_says_is_never_markup(world: World, log_in: LogIn):
    ended("start", State.FAILED, utc_now(), "<script>alert(1)</script>")
    page = log_in("operator").get(reverse("admin:index")).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_it_costs_the_same_for_ten_and_for_a_thousand(world: World, log_in: LogIn):
    client, address = log_in("operator"), reverse("admin:index")
    instance = world.active()

    def grow(count: int) -> None:
        now = utc_now()
        Host.objects.bulk_create([Host(name=f"h{uuid.uuid4().hex}", alive=True) for _ in range(count)])
        columns = {
            f.attname: getattr(instance, f.attname)
            for f in Instance._meta.concrete_fields
            if f.attname != "id"
        }
        rows = [
            Instance(**columns | {"id": uuid.uuid4(), "number": uuid.uuid4().int >> 66}) for _ in range(count)
        ]
        Instance.objects.bulk_create(rows)
        Operation.objects.bulk_create(
            [
                Operation(
                    kind="create",
                    state=State.PENDING,
                    subject_type="instance",
                    subject_id=uuid.uuid4(),
                    created_at=now,
                )
                for _ in range(count)
            ]
        )

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address).status_code == 200
        return len(queries)

    grow(10)
    cost()  # now the hours that are over are known
    few = cost()
    grow(990)
    assert cost() == few


def test_nothing_on_it_comes_from_elsewhere(world: World, log_in: LogIn):
    page = log_in("operator").get(reverse("admin:index")).content.decode()
    asked = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert [one for one in asked if "//" in one and "w3.org" not in one] == []


@pytest.mark.parametrize("amounts", [(), (0, 0), (1, 10_000)])
def test_a_chart_of_anything_is_drawn(amounts):
    shown = [Column("x", (Part("a <b>", amount, charts.BLUE),)) for amount in amounts]
    drawn = charts.columns("about", shown)
    assert drawn.startswith("<svg")
    assert "a <b>" not in drawn
    assert charts.share("about", [Part("a", amount, charts.RED) for amount in amounts], 0).startswith("<svg")
