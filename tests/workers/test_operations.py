"""Operations for people: /operations/ for tenants and operators, the command, and the admin pages."""

import io
import time
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rich.console import Console

from computecloud.cli import operation as cli
from computecloud.cli.failures import Failure
from computecloud.config import CONFIG
from computecloud.wire.services import OPERATIONS
from identity.caller import Caller
from identity.testing import Api, caller, token_for
from workers import acceptance, archive, hurry, selectors, waiting
from workers.models import Host, Operation, State, StepRun, Subject, SubjectLock, utc_now
from workers.selectors import Group, Wanted
from workers.testing import Drive, failure


def api(who: Caller) -> Api:
    return Api(token_for(who), OPERATIONS)


def accept(who: Caller, **params) -> Operation:
    return acceptance.accept(
        kind="toy",
        subject=("toy", uuid.uuid4()),
        project_id=str(who.project_id),
        user_id=who.user_id,
        params=params,
    )


@pytest.fixture
def alice() -> Caller:
    return caller()


@pytest.fixture
def bob() -> Caller:
    return caller()


@pytest.fixture
def admin() -> Caller:
    return caller("admin")


def listed(who: Caller, query: str = "") -> list[dict]:
    answer = api(who).get(f"/{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()["operations"]


def test_a_tenant_lists_and_shows_its_own(alice, bob):
    mine, _ = accept(alice), accept(bob)
    Drive(mine.id).run()
    (one,) = listed(alice)
    assert (one["id"], one["kind"], one["state"], one["waiting"]) == (str(mine.id), "toy", "succeeded", None)
    shown = api(alice).get(f"/{mine.id}").json()["operation"]
    assert [step["step"] for step in shown["steps"]] == ["choose", "one", "wait", "two", "write"]
    assert shown["steps"][0]["outcome"] == "success"
    assert not {"host", "error", "worker"} & (set(shown) | set(shown["steps"][0]))


def test_an_operation_tells_whether_its_subject_is_still_there(alice):
    there, gone = accept(alice), accept(alice)
    Subject.objects.filter(id=gone.subject_id).delete()
    shown = {one["id"]: one["subject"]["exists"] for one in listed(alice)}
    assert shown == {str(there.id): True, str(gone.id): False}
    one = api(alice).get(f"/{gone.id}").json()["operation"]
    assert one["subject"] == {"type": "toy", "id": str(gone.subject_id), "exists": False}


def test_an_admin_sees_every_project_s_with_its_inside(alice, admin):
    mine = accept(alice)
    Drive(mine.id, [failure("toy.two.done", retryable=False)]).run()
    assert listed(admin) == []
    (one,) = listed(admin, "?all_projects=true")
    assert (one["host"], one["state"]) == ("toyhost", "failed")
    assert listed(admin, f"?project={alice.project_id}") == listed(admin, "?host=toyhost") == [one]
    shown = api(admin).get(f"/{mine.id}").json()["operation"]
    assert any(step["error"] for step in shown["steps"])
    assert shown["steps"][-1]["step"].startswith("undo ")


@pytest.mark.parametrize("query", ["?all_projects=true", "?host=h", "?project=abc"])
def test_a_tenant_may_not_ask_for_others(alice, query):
    assert api(alice).get(f"/{query}").status_code == 403


@pytest.mark.parametrize("method", ["get", "post"])
def test_another_tenant_s_operation_is_not_there(alice, bob, method):
    theirs = accept(bob)
    path = f"/{theirs.id}" + ("/cancel" if method == "post" else "")
    for missing in (path, path.replace(str(theirs.id), str(uuid.uuid4())), path.replace(str(theirs.id), "x")):
        answer = api(alice).get(missing) if method == "get" else api(alice).post(missing, {})
        assert answer.status_code == 404, missing
        assert "itemNotFound" in answer.json()
    theirs.refresh_from_db()
    assert theirs.cancelled_by == ""


def test_another_tenant_s_archived_operation_is_not_there_either(alice, bob):
    theirs = accept(bob)
    Drive(theirs.id).run()
    assert archive.move([theirs.id]) == 1
    assert api(alice).get(f"/{theirs.id}").status_code == 404
    shown = api(bob).get(f"/{theirs.id}").json()["operation"]
    assert (shown["archived"], len(shown["steps"])) == (True, 5)
    assert listed(bob)[0]["id"] == str(theirs.id)


def test_without_a_token_nobody_sees_anything(alice):
    assert Api(None, OPERATIONS).get("/").status_code == 401


def test_a_reader_reads_and_cancels_nothing(alice):
    mine = accept(alice)
    reader = caller("reader", project_id=alice.project_id)
    assert api(reader).get(f"/{mine.id}").status_code == 200
    assert api(reader).post(f"/{mine.id}/cancel", {}).status_code == 403


def test_a_tenant_cancels_its_own_and_only_once_it_runs(alice):
    mine = accept(alice)
    answer = api(alice).post(f"/{mine.id}/cancel", {})
    assert answer.status_code == 202
    assert answer.json()["operation"]["cancelled_by"] == f"user {alice.user_name}"
    ended = Drive(mine.id).run()
    assert ended.state == "cancelled"
    again = api(alice).post(f"/{mine.id}/cancel", {})
    assert again.status_code == 409
    assert "has ended" in again.json()["conflictingRequest"]["message"]


def test_what_waits_says_where_and_why(alice, bob):
    for _ in range(CONFIG.admitted_per_project):
        accept(alice)
    queued = [accept(alice) for _ in range(3)]
    waits = {one["id"]: one["waiting"] for one in listed(alice, "?state=waiting")}
    assert [waits[str(one.id)]["position"] for one in queued] == [1, 2, 3]
    assert [waits[str(one.id)]["ahead"] for one in queued] == [0, 1, 2]
    assert "number 3 of its project" in waits[str(queued[2].id)]["reason"]


def test_a_tenant_is_not_told_hosts_and_errors(alice, admin):
    Host.objects.create(name="toyhost", alive=False)
    down, failing = accept(alice), accept(alice)
    Operation.objects.filter(id=down.id).update(cursor=1, host="toyhost")
    Operation.objects.filter(id=failing.id).update(run_after=time.time() + 60)
    now = utc_now()
    StepRun.objects.create(
        operation=failing,
        step="one",
        attempt=1,
        started_at=now,
        finished_at=now,
        outcome="error",
        error="hush",
    )
    told = {one["id"]: one["waiting"]["reason"] for one in listed(alice)}
    assert told[str(down.id)] == "step one waits for its host, which is down"
    assert told[str(failing.id)].startswith("step one failed; tried again at ")
    inside = {one["id"]: one["waiting"]["reason"] for one in listed(admin, "?all_projects=true")}
    assert inside[str(down.id)] == "step one waits for host toyhost, which is down"
    assert "hush" in inside[str(failing.id)]


def test_one_waits_for_the_running_step_of_another(alice):
    first, second = accept(alice), accept(alice)
    SubjectLock.objects.create(operation=second, subject_id=first.subject_id, epoch=1)
    assert waiting.of(second).reason == "step choose waits for a control worker"
    Operation.objects.filter(id=first.id).update(lease_token="t")
    assert waiting.of(second).reason == f"waits for the running step of operation {first.id} (toy)"
    assert waiting.of(Operation.objects.get(id=first.id)) is None


def test_pages_go_through_ledger_and_archive(alice):
    made = [accept(alice) for _ in range(7)]
    for one in made[:4]:
        Drive(one.id).run()
    archive.move([made[0].id, made[2].id])
    seen, path = [], "?limit=3"
    for _ in range(4):
        answer = api(alice).get(f"/{path}").json()
        seen += [one["id"] for one in answer["operations"]]
        if "operations_links" not in answer:
            break
        path = "?" + answer["operations_links"][0]["href"].partition("?")[2]
    assert seen == [str(one.id) for one in reversed(made)]
    assert api(alice).get(f"/?marker={uuid.uuid4()}").status_code == 400


@pytest.mark.parametrize("group", ["active", "waiting", "succeeded", "failed", "cancelled", "all"])
def test_lists_by_what_operations_are_up_to(alice, group):
    running, queued, done, failed, old = (accept(alice) for _ in range(5))
    Operation.objects.filter(id=running.id).update(lease_token="t", state=State.RUNNING)
    Drive(done.id).run()
    Drive(failed.id, [failure("toy.two.done", retryable=False)]).run()
    Drive(old.id, [failure("toy.two.done", retryable=False)]).run()
    archive.move([old.id])
    expected = {
        "active": {running, queued},
        "waiting": {queued},
        "succeeded": {done},
        "failed": {failed, old},
        "cancelled": set(),
        "all": {running, queued, done, failed, old},
    }
    assert {one["id"] for one in listed(alice, f"?state={group}")} == {str(one.id) for one in expected[group]}


def test_a_list_costs_the_same_for_any_number(alice):
    Host.objects.create(name="toyhost", alive=True)

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            listed(alice)
        return len(queries)

    def more() -> None:
        for number in range(5):
            one = accept(alice)
            Operation.objects.filter(id=one.id).update(
                cursor=1, host="toyhost", run_after=time.time() + 60 if number % 2 else 0
            )
        Operation.objects.filter(id=accept(alice).id).update(admitted=False)

    more()
    once = cost()
    more()
    more()
    assert cost() == once <= 10


def test_a_query_that_nobody_knows_is_refused(alice):
    for query in ("?nonsense=1", "?state=odd", "?marker=x", "?limit=-1", "?server=x"):
        assert api(alice).get(f"/{query}").status_code == 400, query


def test_retrying_now_publishes_what_waits_for_its_time(alice):
    mine = accept(alice)
    later = time.time() + 600
    Operation.objects.filter(id=mine.id).update(run_after=later, dispatched_at=later, rings=3)
    assert hurry.retry_now(mine.id).run_after == 0
    assert Drive(mine.id).run().state == "succeeded"
    with pytest.raises(hurry.CannotRetry, match="has ended"):
        hurry.retry_now(mine.id)


def test_what_runs_or_waits_for_its_turn_is_not_retried(alice):
    leased, queued = accept(alice), accept(alice)
    Operation.objects.filter(id=leased.id).update(lease_token="t")
    Operation.objects.filter(id=queued.id).update(admitted=False)
    with pytest.raises(hurry.CannotRetry, match="a worker holds its step"):
        hurry.retry_now(leased.id)
    with pytest.raises(hurry.CannotRetry, match="its tenant's turn"):
        hurry.retry_now(queued.id)


def printed(show, *args) -> str:
    out = io.StringIO()
    show(Console(file=out, width=250, highlight=False), *args)
    return out.getvalue()


def test_the_command_lists_and_shows(alice):
    mine = accept(alice)
    listed = printed(cli.show_list, selectors.operations(Wanted(group=Group.WAITING)))
    assert str(mine.id) in listed
    assert "step choose waits for a control worker" in listed
    Drive(mine.id, [failure("toy.two.done", retryable=False)]).run()
    archive.move([mine.id])
    shown = printed(cli.show_one, cli._find(str(mine.id)))
    assert "failed" in shown
    for step in ("choose", "one", "two", "undo one"):
        assert step in shown
    assert printed(cli.show_list, []).endswith("There is none.\n")
    with pytest.raises(Failure, match="there is no operation x"):
        cli._find("x")


def test_an_operation_of_a_newer_version_is_listed_by_an_older_one(alice):
    newer = accept(alice)
    Operation.objects.filter(id=newer.id).update(kind="teleport")
    [shown] = listed(alice)
    assert (shown["kind"], shown["waiting"]["reason"]) == ("teleport", "waits for a worker")
    newer.refresh_from_db()
    assert waiting.of(newer).reason == "waits for a worker of a version that knows teleport"
    assert api(alice).post(f"/{newer.id}/cancel", {}).status_code == 202
