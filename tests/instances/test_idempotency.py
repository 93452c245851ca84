"""Idempotency-Key on every API's POST: done once, answered as often as it is asked."""

import json
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from computecloud.wire.services import by_path
from identity import tokens
from identity.models import Domain
from identity.services import bootstrap
from images.models import Image
from instances.models import Flavor, Instance, KeyPair
from networking.models import Network
from quotas import services as quotas
from tests.instances.conftest import Tenant
from tests.instances.test_power import placed
from workers import archive, audits, idempotency, ledger, probes
from workers.idempotency import Claim, KeyInUse
from workers.models import IdempotencyKey, Operation

SERVERS = "/compute/v2.1/servers"
KEYS = "/compute/v2.1/os-keypairs"
REPLAYED = "Idempotency-Replayed"


def post(tenant: Tenant, path: str, data: Any = None, key: str | None = "k", **headers: str) -> HttpResponse:
    token = tokens.issue(
        tokens.Grant(
            user_id=tenant.user_id,
            user_name="somebody",
            user_domain_id="default",
            roles=tenant.roles,
            project_id=tenant.project_id,
            project_name="a project",
            project_domain_id="default",
        )
    )
    given = {"X-Auth-Token": token, "OpenStack-API-Version": f"compute {tenant.version}"} | headers
    if key is not None:
        given["Idempotency-Key"] = key
    raw = data if isinstance(data, bytes) else json.dumps(data or {}).encode()
    client = Client(raise_request_exception=False, headers=given)
    return client.generic("POST", path, raw, "application/json")


def message(answer: HttpResponse) -> str:
    (fault,) = answer.json().values()
    return str(fault["message"])


def test_a_retried_post_gives_one_server_and_the_first_answer(alice, body):
    first = post(alice, SERVERS, body)
    assert first.status_code == 202, first.content
    again = post(alice, SERVERS, body)
    assert (again.status_code, again.content) == (202, first.content)
    for name in ("Location", "X-Openstack-Request-Id", "X-Compute-Request-Id", "OpenStack-API-Version"):
        assert again[name] == first[name], name
    assert again[REPLAYED] == "true"
    assert REPLAYED not in first
    assert Instance.objects.count() == Operation.objects.count() == 1
    assert Operation.objects.get().request_id == first["X-Openstack-Request-Id"]


def test_another_key_and_no_key_do_the_work_again(alice, body):
    ids = {post(alice, SERVERS, body, key).json()["server"]["id"] for key in ("a", "b", None, None)}
    assert len(ids) == 4


@pytest.mark.parametrize("what", ["body", "path", "query", "version"])
def test_another_request_with_the_key_is_refused(alice, body, what):
    first = post(alice, SERVERS, body)
    path, tenant = SERVERS, alice
    if what == "body":
        body["server"]["name"] = "two"
    elif what == "path":
        path = KEYS
    elif what == "query":
        path += "?a=1"
    else:
        tenant = alice.at("2.90")
    refused = post(tenant, path, body)
    assert refused.status_code == 409
    assert refused.json()["conflictingRequest"]["code"] == 409
    assert first["X-Openstack-Request-Id"] in message(refused)
    assert Instance.objects.count() == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "ä", "a\tb"])
def test_a_malformed_key_is_refused(alice, body, key):
    answer = post(alice, SERVERS, body, key)
    assert answer.status_code == 400
    assert "Idempotency-Key" in message(answer)
    assert not Instance.objects.exists()
    assert not IdempotencyKey.objects.exists()


def test_the_longest_key_is_taken(alice, body):
    assert post(alice, SERVERS, body, "x" * 255).status_code == 202
    assert post(alice, SERVERS, body, "x" * 255)[REPLAYED] == "true"


def test_tenants_do_not_meet_each_other_s_keys(alice, bob, body):
    quotas.unlimit(bob.project_id)
    colleague = Tenant(project_id=alice.project_id)
    elsewhere = Tenant(user_id=alice.user_id)
    quotas.unlimit(elsewhere.project_id)
    ids = set()
    for tenant in (alice, bob, colleague, elsewhere):
        answer = post(tenant, SERVERS, body | {"server": body["server"] | {"name": tenant.user_id[:5]}})
        assert (answer.status_code, REPLAYED in answer) == (202, False)
        ids.add(answer.json()["server"]["id"])
    assert len(ids) == 4


def test_a_request_without_a_key_asks_the_database_nothing_more(alice):
    path, data = KEYS, {"keypair": {"name": "no such type", "type": "none"}}
    with CaptureQueriesContext(connection) as without:
        assert post(alice, path, data, key=None).status_code == 400
    with CaptureQueriesContext(connection) as with_key:
        assert post(alice, path, data).status_code == 400
    named = [query for query in without if "idempotency" in query["sql"]]
    assert named == []
    assert [query for query in with_key if "idempotency" in query["sql"]] != []


def test_a_password_is_not_kept_and_the_server_is_named(alice, body):
    body["server"]["adminPass"] = "hunter2 hunter2"
    first = post(alice, SERVERS, body)
    assert first.json()["server"]["adminPass"] == "hunter2 hunter2"
    again = post(alice, SERVERS, body)
    assert again.status_code == 409
    assert f"server {first.json()['server']['id']}" in message(again)
    assert Instance.objects.count() == 1
    assert "hunter2" not in str(list(IdempotencyKey.objects.values()))


def test_a_request_with_a_key_is_given_no_password_so_that_its_answer_is_kept(alice, body):
    first = post(alice, SERVERS, body)
    assert "adminPass" not in first.json()["server"]
    again = post(alice, SERVERS, body)
    assert (again.status_code, again[REPLAYED], again.json()) == (202, "true", first.json())
    assert "adminPass" in post(alice, SERVERS, body, key=None).json()["server"]


def test_a_private_key_is_not_kept_and_the_pair_is_named(alice):
    old, data = alice.at("2.91"), {"keypair": {"name": "mine"}}
    first = post(old, KEYS, data)
    assert "PRIVATE KEY" in first.json()["keypair"]["private_key"]
    again = post(old, KEYS, data)
    assert again.status_code == 409
    assert "keypair mine" in message(again)
    assert "PRIVATE" not in str(list(IdempotencyKey.objects.values()))


def test_a_token_is_not_kept(db):
    bootstrap(admin_password="a long enough password", demo_password="another one")
    user = {"name": "admin", "domain": {"id": "default"}, "password": "a long enough password"}
    auth = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    who = Tenant()
    first = post(who, "/identity/v3/auth/tokens", auth)
    assert first.status_code == 201, first.content
    again = post(who, "/identity/v3/auth/tokens", auth)
    assert again.status_code == 409
    assert first["X-Subject-Token"] not in str(list(IdempotencyKey.objects.values()))


def test_a_log_in_has_no_caller_and_no_key(db, client):
    answer = client.post(
        "/identity/v3/auth/tokens",
        {"auth": {}},
        content_type="application/json",
        headers={"Idempotency-Key": "k"},
    )
    assert answer.status_code == 400
    assert not IdempotencyKey.objects.exists()


POSTS: list[tuple[str, dict[str, Any], Callable[[], int]]] = [
    ("/network/v2.0/networks", {"network": {"name": "n"}}, Network.objects.count),
    (
        "/image/v2/images",
        {"name": "i", "disk_format": "raw", "container_format": "bare"},
        Image.objects.count,
    ),
    ("/identity/v3/domains", {"domain": {"name": "d"}}, Domain.objects.count),
    (
        "/compute/v2.1/flavors",
        {"flavor": {"name": "f", "ram": 1, "vcpus": 1, "disk": 1}},
        Flavor.objects.count,
    ),
]


@pytest.mark.parametrize(("path", "data", "count"), POSTS, ids=[path for path, _, _ in POSTS])
def test_every_api_s_post_is_done_once(admin, path, data, count):
    Domain.objects.get_or_create(id="default", defaults={"name": "Default"})
    before = count()
    first, again = post(admin, path, data), post(admin, path, data)
    assert first.status_code in {200, 201}, first.content
    assert (again.status_code, again.content, again[REPLAYED]) == (first.status_code, first.content, "true")
    assert count() == before + 1
    other = post(admin, path, {"another": data})
    assert other.status_code == 409
    service = by_path(path)
    kind = {"nova": "conflictingRequest", "neutron": "NeutronError", "keystone": "error", "glance": "message"}
    assert kind[service.faults] in other.json()


def test_an_action_is_done_once(alice):
    instance = placed(alice, "active")
    path = f"{SERVERS}/{instance.id}/action"
    first, again = post(alice, path, {"os-stop": None}), post(alice, path, {"os-stop": None})
    assert (first.status_code, again.status_code, again.content) == (202, 202, b"")
    assert again["X-Openstack-Request-Id"] == first["X-Openstack-Request-Id"]
    assert Operation.objects.count() == 1


def test_a_refusal_that_the_request_decides_is_kept(alice):
    first, again = (post(alice, KEYS, {"keypair": {"nonsense": 1}}) for _ in range(2))
    assert (first.status_code, again.status_code) == (400, 400)
    assert again[REPLAYED] == "true"
    assert again.content == first.content


def test_a_refusal_that_the_world_decides_is_not(alice):
    path = f"{SERVERS}/{uuid.uuid4()}/action"
    for _ in range(2):
        refused = post(alice, path, {"os-stop": None})
        assert (refused.status_code, REPLAYED in refused) == (404, False)
    assert not IdempotencyKey.objects.exists()


def test_a_conflict_may_pass_later_with_the_same_key(alice):
    instance = placed(alice, "active", "rebooting")
    path = f"{SERVERS}/{instance.id}/action"
    assert post(alice, path, {"os-stop": None}).status_code == 409
    Instance.objects.filter(id=instance.id).update(task_state=None)
    assert post(alice, path, {"os-stop": None}).status_code == 202


def test_keys_expire_and_are_removed(alice, body):
    post(alice, SERVERS, body, "old")
    post(alice, SERVERS, body, "new")
    day = timedelta(hours=24, minutes=1)
    old = IdempotencyKey.objects.filter(key="old")
    old.update(created_at=old.get().created_at - day)
    assert REPLAYED not in post(alice, SERVERS, body, "old")
    assert Instance.objects.count() == 3
    old.update(created_at=old.get().created_at - day)
    audits.run("expiry", pause=lambda _s: None)
    assert [row.key for row in IdempotencyKey.objects.all()] == ["new"]


@pytest.fixture
def committing(transactional_db) -> None:
    """Have transactions really commit, so that what happens after a commit happens."""


def test_a_second_request_while_the_first_runs_is_told_to_try_again(committing, alice, body):
    answers: list[HttpResponse] = []

    def ask_again(point: str) -> None:
        if point == "create.accepted":
            asking = threading.Thread(target=lambda: answers.append(closing(post)(alice, SERVERS, body)))
            asking.start()
            asking.join()

    with probes.installed(ask_again):
        first = post(alice, SERVERS, body)
    assert first.status_code == 202
    (second,) = answers
    assert (second.status_code, second["Retry-After"]) == (409, "1")
    assert "ry again" in message(second)
    assert Instance.objects.count() == 1
    assert post(alice, SERVERS, body).content == first.content


def test_many_at_once_make_one_server(committing, alice, body):
    start, answers = threading.Barrier(4), []

    def ask() -> None:
        start.wait()
        answers.append(closing(post)(alice, SERVERS, body))

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert Instance.objects.count() == 1
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert sum(answer.status_code == 202 and REPLAYED not in answer for answer in answers) == 1


def closing(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return the call, with this thread's database connections closed after it."""

    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        finally:
            connections.close_all()

    return called


def crash(*points: str) -> Callable[[str], None]:
    def die(point: str) -> None:
        if point in points:
            raise KeyboardInterrupt

    return die


def let_it_be_long_ago() -> None:
    IdempotencyKey.objects.update(taken_at=time.time() - idempotency.RUNNING_S - 1)


def test_a_crash_between_the_commit_and_the_answer_makes_no_second_server(committing, alice, body):
    with probes.installed(crash("create.accepted")), pytest.raises(KeyboardInterrupt):
        post(alice, SERVERS, body)
    (instance,) = Instance.objects.all()
    assert post(alice, SERVERS, body).status_code == 409
    let_it_be_long_ago()
    for _ in range(2):
        again = post(alice, SERVERS, body)
        assert again.status_code == 409
        assert f"instance {instance.id}" in message(again)
    Operation.objects.update(state="failed", finished_at=instance.created_at)
    operation_id = Operation.objects.get().id
    ledger.release_subjects(operation_id)
    assert archive.move([operation_id]) == 1
    assert f"instance {instance.id}" in message(post(alice, SERVERS, body))
    assert Instance.objects.count() == 1


def test_a_crash_before_any_commit_lets_a_retry_do_the_work(committing, alice, body):
    def die_at_the_first_write(execute, sql, *rest):
        answer = execute(sql, *rest)
        if sql.lstrip().startswith("INSERT") and "instances_instance" in sql:
            raise KeyboardInterrupt
        return answer

    with connection.execute_wrapper(die_at_the_first_write), pytest.raises(KeyboardInterrupt):
        post(alice, SERVERS, body)
    assert not Instance.objects.exists()
    assert not IdempotencyKey.objects.get().begun
    assert post(alice, SERVERS, body).status_code == 409
    let_it_be_long_ago()
    assert post(alice, SERVERS, body).status_code == 202
    assert Instance.objects.count() == 1


def test_a_request_that_was_taken_for_dead_commits_nothing(committing, alice):
    asked = idempotency.Request(caller=alice.caller, key="k", fingerprint="f", request_id="req-1")
    first = idempotency.take(asked)
    let_it_be_long_ago()
    second = idempotency.take(asked)
    assert isinstance(first, Claim)
    assert isinstance(second, Claim)
    pair = {"user_id": "u", "public_key": "x", "fingerprint": "x"}
    with idempotency.protected(second):
        KeyPair.objects.create(name="second", **pair)
    with idempotency.protected(first), pytest.raises(KeyInUse):
        KeyPair.objects.create(name="first", **pair)
    idempotency.keep(first, idempotency.Answer(200, {}, "the first's"))
    assert [found.name for found in KeyPair.objects.all()] == ["second"]
    assert IdempotencyKey.objects.get().status is None


MEANWHILE = {"taken": {"holder": "another"}, "begun": {"begun": True}, "answered": {"status": 400}}


@pytest.mark.parametrize("what", MEANWHILE)
def test_a_key_that_moves_while_it_is_taken_over_is_not_taken(alice, what):
    asked = idempotency.Request(caller=alice.caller, key="k", fingerprint="f", request_id="req-1")
    idempotency.take(asked)
    let_it_be_long_ago()
    moved: list[str] = []

    def move(execute, sql, *rest):
        if sql.startswith("UPDATE") and "idempotencykey" in sql and not moved:
            moved.append(sql)
            IdempotencyKey.objects.update(**MEANWHILE[what])
        return execute(sql, *rest)

    with connection.execute_wrapper(move), pytest.raises(KeyInUse):
        idempotency.take(asked)
    assert moved


def test_what_was_rolled_back_has_not_begun(committing, alice):
    asked = idempotency.Request(caller=alice.caller, key="k", fingerprint="f", request_id="req-1")
    claim = idempotency.take(asked)
    with idempotency.protected(claim):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            KeyPair.objects.create(user_id="u", name="a", public_key="x", fingerprint="x")
            raise ZeroDivisionError
        assert not IdempotencyKey.objects.get().begun
        KeyPair.objects.create(user_id="u", name="b", public_key="x", fingerprint="x")
        assert IdempotencyKey.objects.get().begun


def test_an_error_after_the_commit_is_not_done_again(committing, alice, body):
    def break_the_database(execute, sql, *rest):
        if "UPDATE" in sql and "withheld" not in sql and '"status" = ' in sql:
            raise OperationalError("the disk is full")
        return execute(sql, *rest)

    with connection.execute_wrapper(break_the_database):
        first = post(alice, SERVERS, body)
    assert first.status_code == 202
    let_it_be_long_ago()
    again = post(alice, SERVERS, body)
    assert again.status_code == 409
    assert f"instance {first.json()['server']['id']}" in message(again)
    assert Instance.objects.count() == 1


def test_an_error_before_any_commit_leaves_the_key_free(committing, alice, body):
    failing = [True]

    def fail(execute, sql, *rest):
        if failing and "instances_instance" in sql and sql.lstrip().startswith("INSERT"):
            failing.clear()
            raise RuntimeError("the disk is gone")
        return execute(sql, *rest)

    with connection.execute_wrapper(fail):
        assert post(alice, SERVERS, body).status_code == 500
    assert not IdempotencyKey.objects.exists()
    assert post(alice, SERVERS, body).status_code == 202
