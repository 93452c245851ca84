"""Audits: when they are due, who runs them, what they record, and what they do about hosts that are down."""

import time
from collections.abc import Callable, Iterator

import pytest

from computecloud.wire.errors import InvalidInput, NotFound, Unavailable
from workers import audits, clock
from workers.audits import Audit
from workers.invariants import Violation
from workers.models import AuditRun, AuditSchedule, Finding, Host

DIFFERENCES: list[Violation | str] = []
LOOKED: list[str] = []


def look(host: str) -> list[Violation | str]:
    LOOKED.append(host)
    return list(DIFFERENCES)


@pytest.fixture(autouse=True)
def two_audits(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    of_cloud = Audit("cloudy", "looks at the cloud", 60, look)
    of_host = Audit("hosty", "looks at a host", 30, look, on_host=True)
    monkeypatch.setattr(audits, "_registry", {"cloudy": of_cloud, "hosty": of_host})
    monkeypatch.setattr(audits, "_memory", audits._Memory())
    DIFFERENCES.clear()
    LOOKED.clear()
    yield


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    sent: list[tuple[str, str, str]] = []

    def publish(name: str, host: str, by: str) -> bool:
        sent.append((name, host, by))
        return True

    monkeypatch.setattr(audits, "_publish", publish)
    return sent


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    def set_to(seconds: float) -> None:
        monkeypatch.setattr(clock, "now", lambda: seconds)

    set_to(1_000_000.0)
    return set_to


def run(name: str = "cloudy", host: str = "") -> AuditRun:
    done = audits.run(name, host=host, pause=lambda _s: None)
    assert done is not None
    return done


def test_each_registered_audit_gets_a_row_with_its_own_interval():
    assert [(row.name, row.every_s) for row in audits.schedules()] == [("cloudy", 60), ("hosty", 30)]


def test_an_interval_that_an_operator_set_stays(at, published):
    audits.schedules()
    AuditSchedule.objects.filter(name="cloudy").update(every_s=600)
    audits.ring()
    at(1_000_000.0 + 599)
    audits.ring()
    assert len(published) == 1
    at(1_000_000.0 + 600)
    audits.ring()
    assert len(published) == 2


def test_what_is_switched_off_is_not_rung_for(at, published):
    audits.schedules()
    AuditSchedule.objects.update(enabled=False)
    audits.ring()
    assert published == []


def test_two_bells_at_once_ring_once(at, published):
    row = audits.schedules()[0]
    audits._ring(row, clock.now(), "schedule")
    audits._ring(row, clock.now(), "schedule")
    assert len(published) == 1


@pytest.mark.parametrize("step_s", [-3_600.0, 3_600.0])
def test_a_clock_that_was_stepped_silences_no_audit(at, published, step_s: float):
    audits.ring()
    at(1_000_000.0 + step_s)
    audits.ring()
    assert [name for name, _, _ in published] == ["cloudy", "cloudy"]


def test_a_host_runs_what_was_rung_for_once(at, published):
    audits.ring()
    audits.run_due("h1")
    audits.run_due("h1")
    assert LOOKED == ["h1"]
    at(1_000_000.0 + 30)
    audits.ring()
    audits.run_due("h1")
    assert LOOKED == ["h1", "h1"]


def test_a_host_that_is_down_is_skipped_and_noted(at, published):
    Host.objects.create(name="up", alive=True)
    Host.objects.create(name="down", alive=False)
    for later in (0, 30, 60):
        at(1_000_000.0 + later)
        audits.ring()
    [skipped] = AuditRun.objects.filter(state="skipped")
    assert (skipped.audit, skipped.host, skipped.said) == ("hosty", "down", "host down is down")


def test_quiet_runs_leave_one_row():
    for _ in range(3):
        run()
    assert [(row.state, row.found) for row in AuditRun.objects.all()] == [("done", 0)]


def test_a_difference_is_recorded_with_its_cause_and_mended():
    DIFFERENCES.append(Violation("a is b", fix=DIFFERENCES.clear, cause="by hand", subject="a"))
    done = run()
    finding = done.findings.get()
    assert (done.found, done.mended, done.state) == (1, 1, "done")
    assert (finding.what, finding.cause, finding.subject, finding.mended) == ("a is b", "by hand", "a", True)
    assert run().found == 0
    assert AuditRun.objects.count() == 2  # what was found is kept


def test_what_nobody_can_mend_is_listed_with_advice():
    DIFFERENCES.append(Violation("a is b", "do this"))
    done = run()
    assert (done.found, done.mended) == (1, 0)
    assert done.findings.get().advice == "do this"


def test_a_difference_is_written_down_before_it_is_mended():
    seen: list[list[bool]] = []

    def mend() -> None:
        seen.append(list(Finding.objects.values_list("mended", flat=True)))

    DIFFERENCES.append(Violation("a is b", fix=mend))
    run()
    assert seen == [[False]]


def test_work_under_way_is_no_difference():
    mended: list[int] = []
    DIFFERENCES.append(Violation("a is b", fix=lambda: mended.append(1)))
    done = audits.run("cloudy", pause=lambda _s: DIFFERENCES.clear())
    assert done is not None
    assert (done.found, mended, Finding.objects.count()) == (0, [], 0)


def test_what_is_right_by_the_time_it_is_mended_is_not_recorded():
    DIFFERENCES.append(Violation("a is b", fix=lambda: 0))
    assert run().found == 0
    assert not Finding.objects.exists()


def test_a_mend_that_fails_says_why_and_holds_up_no_other():
    def fail() -> None:
        raise Unavailable("no way")

    DIFFERENCES.extend([Violation("a is b", fix=fail), Violation("c is d", fix=lambda: None)])
    done = run()
    assert (done.found, done.mended) == (2, 1)
    assert done.findings.get(what="a is b").advice == "no way"


def test_a_look_that_fails_is_recorded(monkeypatch: pytest.MonkeyPatch):
    def broken(_host: str) -> list[Violation | str]:
        raise Unavailable("the hypervisor sleeps")

    monkeypatch.setitem(audits._registry, "cloudy", Audit("cloudy", "breaks", 60, broken))
    done = run()
    assert (done.state, done.said) == ("failed", "the hypervisor sleeps")


def test_words_of_a_look_are_kept():
    DIFFERENCES.append("removed 3 sessions")
    assert run().said == "removed 3 sessions"


def test_a_run_whose_worker_died_is_lost_when_the_next_one_finds_something():
    AuditRun.objects.create(audit="cloudy", state="running", why="schedule")
    DIFFERENCES.append(Violation("a is b"))
    run()
    assert sorted(AuditRun.objects.values_list("state", flat=True)) == ["done", "lost"]


def test_runs_of_other_audits_and_on_other_hosts_go_on_when_one_is_lost():
    others = [
        AuditRun.objects.create(audit=audit, host=host, state="running", why="schedule")
        for audit, host in (("hosty", "h2"), ("cloudy", "h1"))
    ]
    lost = AuditRun.objects.create(audit="hosty", host="h1", state="running", why="schedule")
    failed = AuditRun.objects.create(audit="hosty", host="h1", state="failed", why="schedule")
    DIFFERENCES.append(Violation("a is b"))
    audits.run("hosty", host="h1", pause=lambda _s: None)
    assert AuditRun.objects.get(id=lost.id).state == "lost"
    assert AuditRun.objects.get(id=failed.id).state == "failed"
    going = AuditRun.objects.filter(id__in=[one.id for one in others])
    assert set(going.values_list("state", flat=True)) == {"running"}


def test_a_run_that_finds_nothing_is_written_over_its_own_last_one_alone():
    for audit, host in (("hosty", "h1"), ("hosty", "h2"), ("cloudy", "h1")):
        audits.run(audit, host=host, why=f"of {audit} {host}", pause=lambda _s: None)
    audits.run("hosty", host="h1", why="again", pause=lambda _s: None)
    whys = AuditRun.objects.order_by("id").values_list("why", flat=True)
    assert list(whys) == ["again", "of hosty h2", "of cloudy h1"]


def test_one_is_not_run_twice_at_the_same_time():
    def again(_s: float) -> None:
        assert audits.run("cloudy", pause=lambda _s: None) is None

    DIFFERENCES.append(Violation("a is b"))
    assert audits.run("cloudy", pause=again) is not None


def test_an_operator_has_one_run_now(published):
    Host.objects.create(name="h1", alive=True)
    assert "runs now" in audits.ask("cloudy", by="operator o")
    assert "on h1" in audits.ask("hosty", by="operator o", host="h1")
    assert published == [("cloudy", "", "operator o"), ("hosty", "h1", "operator o")]


def test_an_operator_has_one_run_on_every_host_even_where_it_is_switched_off(published):
    audits.schedules()
    AuditSchedule.objects.update(enabled=False)
    assert "every host" in audits.ask("hosty", by="operator o")
    audits.run_due("h1")
    assert AuditRun.objects.get().why == "operator o"


def test_asking_for_what_cannot_be_is_refused_in_words(published):
    Host.objects.create(name="down", alive=False)
    with pytest.raises(NotFound, match="There is no audit nothing"):
        audits.ask("nothing", by="o")
    with pytest.raises(NotFound, match="Host nowhere"):
        audits.ask("hosty", by="o", host="nowhere")
    with pytest.raises(InvalidInput, match="whole cloud"):
        audits.ask("cloudy", by="o", host="down")
    with pytest.raises(Unavailable, match="is down"):
        audits.ask("hosty", by="o", host="down")
    assert AuditRun.objects.get().state == "skipped"


def test_old_records_are_removed():
    DIFFERENCES.append(Violation("a is b"))
    run()
    assert audits.forget_old(time.time() - 60) == 0
    assert audits.forget_old(time.time() + 60) > 0
    assert not Finding.objects.exists()
    assert not AuditRun.objects.exists()


def test_of_findings_only_old_ones_without_a_run_are_removed_by_themselves():
    run = AuditRun.objects.create(audit="cloudy", state="running", why="schedule")
    old, new = clock.moment(time.time() - 600), clock.moment(time.time())
    for what, at, of in (("old", old, None), ("new", new, None), ("of a run that goes on", old, run)):
        Finding.objects.create(audit="cloudy", what=what, created_at=at, run=of)
    assert audits.forget_old(time.time() - 60) == 1
    assert set(Finding.objects.values_list("what", flat=True)) == {"new", "of a run that goes on"}


def test_a_message_of_a_newer_version_is_dropped():
    assert audits.run("of the future") is None


def test_the_ring_costs_two_queries_where_nothing_is_due(at, published, django_assert_num_queries):
    audits.ring()
    with django_assert_num_queries(1):
        audits.ring()
