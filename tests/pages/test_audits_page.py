"""The operating guide tells of every audit, and who sees to what nova-compute does periodically; expiry removes."""

import re
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session

from computecloud.config import CONFIG, ROOT
from identity.models import LoginFailure, Revocation
from workers import audits
from workers.models import AuditRun, Finding, IdempotencyKey, utc_now

NOVA = set(
    """
_check_instance_build_time _sync_scheduler_instance_info _heal_instance_info_cache _poll_rebooting_instances
_poll_rescued_instances _poll_unconfirmed_resizes _poll_shelved_instances _instance_usage_audit _poll_volume_usage
_sync_power_states _reclaim_queued_deletes update_available_resource _cleanup_running_deleted_instances
_run_image_cache_manager_pass _run_pending_deletes _cleanup_incomplete_migrations
_cleanup_expired_console_auth_tokens _reconcile_stale_share_access _discover_hosts_in_cells
""".split()  # noqa: SIM905
)
PAGE = (ROOT / "docs" / "operating.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table whose first heading is this one."""
    table = PAGE[PAGE.index(f"| {heading} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_the_guide_tells_of_every_audit_as_it_is():
    told = {name: (every, where) for name, every, where, *_ in rows("audit")}
    assert told == {
        name: (f"{audit.every_s} s", "each host" if audit.on_host else "control")
        for name, audit in audits.registered().items()
    }


def test_each_periodic_task_of_nova_has_its_audit_or_a_reason():
    told = {name.strip("`"): (here, why) for name, here, why in rows("nova-compute")}
    assert set(told) == {*NOVA, "service heartbeat"}
    for task, (here, why) in told.items():
        assert len(why) > 10, task
        if here != "no audit":
            assert {name.strip() for name in here.split(",")} <= set(audits.registered()), task
            assert "tests/" in why, task


def test_the_tests_that_the_guide_names_are_there():
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE))
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.django_db
def test_what_has_expired_is_removed_and_what_has_not_stays():
    now, long_ago = utc_now(), utc_now() - timedelta(days=400)
    for key, at in (("old", long_ago), ("new", now + timedelta(hours=1))):
        Revocation.objects.create(key=key, before=1, expires_at=at)
        LoginFailure.objects.create(key=key, began_at=at)
        Session.objects.create(session_key=key, session_data="x", expire_date=at)
        IdempotencyKey.objects.create(
            user_id="u", key=key, fingerprint="f", request_id="r", holder="h", taken_at=1
        )
        Finding.objects.create(
            run=AuditRun.objects.create(audit=key, state="done", started_at=at), audit=key, what="w"
        )
    IdempotencyKey.objects.filter(key="old").update(created_at=long_ago)
    done = audits.run("expiry", pause=lambda _s: None)
    assert done is not None
    assert set(done.said.split("; ")) == {
        "removed 1 records of void tokens",
        "removed 1 counts of failed log-ins",
        "removed 1 sessions",
        "removed 1 Idempotency-Keys",
        "removed 2 records of audits",
    }
    for model in (Revocation, LoginFailure, IdempotencyKey):
        assert [row.key for row in model.objects.all()] == ["new"]
    assert [row.session_key for row in Session.objects.all()] == ["new"]
    assert CONFIG.audit_records_kept_days < 400
