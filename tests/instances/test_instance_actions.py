"""os-instance-actions: the engine's ledger in the API's words."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.instances.conftest import refused
from workers import archive
from workers.models import Operation, State, StepRun

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def done(alice, server):
    instance = server("active", host="h1")
    for number, (kind, state) in enumerate(
        [("create", State.SUCCEEDED), ("stop", State.FAILED), ("start", State.RUNNING)]
    ):
        operation = Operation.objects.create(
            kind=kind,
            state=state,
            subject_type="instance",
            subject_id=instance.id,
            project_id=alice.project_id,
            user_id=alice.user_id,
            request_id=f"req-{number}",
            created_at=NOON + timedelta(minutes=number),
            updated_at=NOON + timedelta(minutes=number),
        )
        for step, outcome in (("place", "success"), ("power", "error" if kind == "stop" else "success")):
            StepRun.objects.create(
                operation=operation,
                step=step,
                attempt=1,
                host="h1",
                started_at=NOON,
                finished_at=NOON + timedelta(seconds=1),
                outcome=outcome,
                error="no power" if outcome == "error" else "",
                traceback="Traceback" if outcome == "error" else "",
            )
    return instance


def test_actions_are_listed_newest_first(alice, done):
    listed = alice.get(f"/servers/{done.id}/os-instance-actions").json()["instanceActions"]
    assert [(one["action"], one["message"]) for one in listed] == [
        ("start", None),
        ("stop", "Error"),
        ("create", None),
    ]
    assert listed[2]["start_time"] == "2026-01-01T12:00:00.000000"


def test_a_tenant_sees_events_without_their_inside(alice, done):
    shown = alice.get(f"/servers/{done.id}/os-instance-actions/req-1").json()["instanceAction"]
    assert [(one["event"], one["result"]) for one in shown["events"]] == [
        ("place", "Success"),
        ("power", "Error"),
    ]
    assert not {"traceback", "host", "details"} & set(shown["events"][1])
    assert len(shown["events"][0]["hostId"]) == 56


def test_an_admin_sees_all_of_an_event(admin, done):
    event = admin.get(f"/servers/{done.id}/os-instance-actions/req-1").json()["instanceAction"]["events"][1]
    assert (event["traceback"], event["host"], event["details"]) == ("Traceback", "h1", "no power")
    assert event["finish_time"] == "2026-01-01T12:00:01.000000"


def test_actions_of_deleted_servers_are_seen_since_2_21(alice, server):
    instance = server("deleted")
    refused(alice.at("2.20").get(f"/servers/{instance.id}/os-instance-actions"), 404)
    assert alice.at("2.21").get(f"/servers/{instance.id}/os-instance-actions").json() == {
        "instanceActions": []
    }


def test_pages_and_times_since_2_58(alice, done):
    path = f"/servers/{done.id}/os-instance-actions"

    def kinds(query):
        return [one["action"] for one in alice.get(f"{path}?{query}").json()["instanceActions"]]

    assert kinds("limit=1") == ["start"]
    assert alice.get(f"{path}?limit=1").json()["links"][0]["href"].endswith("limit=1&marker=req-2")
    assert kinds("limit=1&marker=req-2") == ["stop"]
    assert kinds("changes-since=2026-01-01T12:01:00Z") == ["start", "stop"]
    assert kinds("changes-before=2026-01-01T12:00:00Z") == ["create"]
    refused(alice.get(f"{path}?marker=nope"), 400)
    refused(alice.get(f"{path}?changes-since=nope"), 400)
    refused(alice.get(f"{path}?nonsense=1"), 400)
    assert len(alice.at("2.57").get(f"{path}?limit=1").json()["instanceActions"]) == 3


def test_an_unknown_request_is_not_found(alice, done):
    refused(alice.get(f"/servers/{done.id}/os-instance-actions/req-9"), 404)
    refused(alice.get(f"/servers/{done.id}/os-instance-actions/%00"), 404)


def test_showing_an_action_costs_the_same_for_any_number_of_events(alice, done, django_assert_num_queries):
    with django_assert_num_queries(3):
        alice.get(f"/servers/{done.id}/os-instance-actions/req-1")


def archive_some(instance, kinds):
    """Have these actions of the server ended long ago, and archived; the others stay in the ledger."""
    ids = list(Operation.objects.filter(subject_id=instance.id, kind__in=kinds).values_list("id", flat=True))
    Operation.objects.filter(id__in=ids).update(finished_at=NOON, state=State.FAILED)
    assert archive.move(ids) == len(kinds)


@pytest.mark.parametrize("kinds", [["create"], ["create", "stop"], ["stop"]])
def test_archived_actions_are_listed_and_shown_as_before(alice, admin, done, kinds):
    path = f"/servers/{done.id}/os-instance-actions"
    Operation.objects.filter(kind__in=kinds).update(finished_at=NOON, state=State.FAILED)
    pages = ["", "?limit=1", "?limit=1&marker=req-2", "?limit=2&marker=req-1"]
    before = [alice.get(path + page).json() for page in pages]
    shown = [admin.get(f"{path}/req-{number}").json() for number in range(3)]
    archive_some(done, kinds)
    assert [alice.get(path + page).json() for page in pages] == before
    assert [admin.get(f"{path}/req-{number}").json() for number in range(3)] == shown
    assert len(shown[1]["instanceAction"]["events"]) == 2


def test_listing_actions_costs_the_same_however_many_are_archived(alice, done, django_assert_num_queries):
    path = f"/servers/{done.id}/os-instance-actions"
    with django_assert_num_queries(3):
        alice.get(path)
    archive_some(done, ["create", "stop"])
    with django_assert_num_queries(3):
        assert len(alice.get(path).json()["instanceActions"]) == 3
