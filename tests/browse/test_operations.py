"""The timeline of an operation: a page that follows it by events, and the same page without a script."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.http import StreamingHttpResponse

from computecloud.browse import sessions
from computecloud.streams import EventStream
from identity import revocation, tokens
from identity.models import User
from instances.models import Instance
from tests.browse.conftest import SERVERS, Browser
from tests.instances.conftest import Tenant
from workers.models import Operation, State, StepRun, Subject, utc_now

Make = Callable[..., Instance]


@pytest.fixture
def running(browser: Browser, server: Make) -> Operation:
    """A server's stop that nobody has taken yet."""
    made = server("active", host="testhost", node="testhost")
    browser.send(f"/browse/servers/{made.id}/act", form=f"{SERVERS}/{made.id}", act="stop")
    return Operation.objects.get()


def ends_step(operation: Operation, outcome: str = "success") -> None:
    at = utc_now()
    StepRun.objects.create(
        operation=operation,
        step="stop <it>",
        attempt=1,
        host="a-secret-host",
        started_at=at - timedelta(milliseconds=12),
        finished_at=at,
        outcome=outcome,
        error="a secret error",
    )


def ends(operation: Operation) -> None:
    Operation.objects.filter(id=operation.id).update(state=State.SUCCEEDED, finished_at=utc_now())


def listen(browser: Browser, operation: Operation, seen: str = "") -> Any:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": seen} if seen else {})
    return browser.get(f"/browse/operations/{operation.id}/events", headers=headers)


def id_of(events: bytes) -> str:
    return events.decode().partition("\nid: ")[2].partition("\n")[0]


def test_operations_are_listed_with_links(browser: Browser, running: Operation):
    text = browser.page("/operations/")
    assert f'href="/operations/{running.id}">stop<' in text
    assert f'href="{SERVERS}/{running.subject_id}"' in text
    assert f'href="/operations/{running.id}"' in browser.page(f"{SERVERS}/{running.subject_id}")


def test_a_server_that_is_gone_is_named_and_not_linked(browser: Browser, running: Operation):
    Subject.objects.filter(id=running.subject_id).delete()
    for page in ("/operations/", f"/operations/{running.id}"):
        text = browser.page(page)
        assert f"server {str(running.subject_id)[:8]}" in text
        assert f'href="{SERVERS}/{running.subject_id}"' not in text


def test_a_page_follows_an_operation_that_runs(browser: Browser, running: Operation):
    for address in (f"/operations/{running.id}", f"{SERVERS}/{running.subject_id}"):
        text = browser.page(address)
        assert f'data-events="/browse/operations/{running.id}/events"' in text
        assert '<script src="/static/browse/timeline.js?v=' in text
        assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in text


def test_a_page_of_one_that_ended_follows_nothing(browser: Browser, running: Operation):
    ends_step(running)
    ends(running)
    text = browser.page(f"/operations/{running.id}")
    assert "data-events" not in text
    assert "<script" not in text
    assert "http-equiv" not in text
    assert "stop &lt;it&gt;" in text
    assert "12.0 ms" in text
    assert "Cancel the operation" not in text


def test_a_tenant_is_told_no_host_and_no_inner_error(browser: Browser, running: Operation):
    ends_step(running, "error")
    text = browser.page(f"/operations/{running.id}") + listen(browser, running).getvalue().decode()
    assert "secret" not in text


def test_events_tell_the_timeline_each_time_that_it_is_another_one(browser: Browser, running: Operation):
    answer = listen(browser, running)
    assert isinstance(answer, EventStream)
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/event-stream")
    assert (answer["Cache-Control"], answer["X-Accel-Buffering"]) == ("no-store", "no")
    first = answer.poll()
    assert first.events.startswith(b"event: timeline\nid: ")
    assert not first.ended
    assert answer.poll().events == b""
    ends_step(running)
    second = answer.poll()
    assert b"stop &lt;it&gt;" in second.events
    assert id_of(second.events) != id_of(first.events)
    ends(running)
    last = answer.poll()
    assert b"event: timeline" in last.events
    assert last.events.endswith(b"data: \n\n")
    assert b"event: ended" in last.events
    assert last.ended


def test_who_comes_again_is_told_only_what_is_new(browser: Browser, running: Operation):
    seen = id_of(listen(browser, running).poll().events)
    assert listen(browser, running, seen).poll().events == b""
    ends_step(running)
    assert b"event: timeline" in listen(browser, running, seen).poll().events


def test_without_the_event_loop_each_request_tells_the_present_timeline(browser: Browser, running: Operation):
    text = b"".join(listen(browser, running))
    assert text.startswith(b"retry: 2000\n\nevent: timeline\n")


def test_the_step_that_is_next_is_a_row_until_it_has_ended(browser: Browser, running: Operation):
    row = '<span>ask</span></td><td data-label="Attempt"><span>–</span></td>'
    assert row in browser.page(f"/operations/{running.id}")
    ends(running)
    assert row not in browser.page(f"/operations/{running.id}")


def test_every_line_of_an_event_is_one_of_its_data(browser: Browser, running: Operation):
    lines = listen(browser, running).poll().events.decode().removesuffix("\n\n").split("\n")
    assert all(line.startswith(("event: ", "id: ", "data: ")) for line in lines)


@pytest.mark.parametrize("how", ["revoked", "gone"])
def test_a_stream_ends_when_its_user_may_no_longer_look(
    browser: Browser, running: Operation, demo: Tenant, how: str
):
    answer = listen(browser, running)
    answer.poll()
    if how == "revoked":
        revocation.revoke_user(demo.user_id)
    else:
        Operation.objects.filter(id=running.id).update(project_id="another")
    piece = answer.poll()
    assert piece.ended
    assert piece.events.startswith(b"event: ended\n")


def test_who_has_not_logged_in_gets_no_events(demo: Tenant, running: Operation):
    answer = listen(Browser(), running)
    assert answer.status_code == 401
    assert not isinstance(answer, StreamingHttpResponse)


def test_another_tenant_s_operation_has_no_events_and_is_not_cancelled(browser: Browser, running: Operation):
    Operation.objects.filter(id=running.id).update(project_id="another")
    assert listen(browser, running).status_code == 404
    answer = browser.send(f"/browse/operations/{running.id}/cancel", form="/browse/projects")
    assert answer.status_code == 404
    browser.page(f"/operations/{running.id}", 404)
    running.refresh_from_db()
    assert running.cancelled_by == ""


def test_a_stream_belongs_to_the_user_of_the_session(browser: Browser, running: Operation):
    caller = tokens.check(browser.session[sessions.TOKEN])
    assert listen(browser, running).user_id == caller.user_id


def test_a_tenant_cancels_an_operation(browser: Browser, running: Operation):
    at = f"/operations/{running.id}"
    assert "Cancel the operation" in browser.page(at)
    assert browser.send(f"/browse{at}/cancel", form=at)["Location"] == at
    running.refresh_from_db()
    assert running.cancelled_by == "user demo"


def test_a_reader_may_look_and_not_cancel(there: Any, demo: Tenant, running: Operation):
    from identity.models import Role, RoleAssignment

    RoleAssignment.objects.filter(user_id=demo.user_id).delete()
    RoleAssignment.objects.create(
        user_id=demo.user_id, project_id=demo.project_id, role=Role.objects.get(name="reader")
    )
    browser = Browser()
    browser.log_in()
    assert "Cancel the operation" not in browser.page(f"/operations/{running.id}")
    answer = browser.send(f"/browse/operations/{running.id}/cancel", form="/browse/projects")
    assert answer.status_code == 403


def test_an_operator_without_a_tenant_s_session_keeps_the_page_before(there: Any, running: Operation):
    operator = User.objects.create(id="op", name="op", is_staff=True, is_superuser=True)
    browser = Browser()
    browser.force_login(operator, backend="identity.backends.PageBackend")
    answer = browser.get(f"/operations/{running.id}")
    assert answer.status_code == 200
    assert "Content-Security-Policy" not in answer
    assert Browser().get("/operations/").status_code == 401
