"""Idempotency-Key on a log-in: it counts for who has proved who he is, and for nobody else."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from identity import tokens
from identity.services.bootstrap import Bootstrapped
from tests.identity.conftest import ADMIN_PASSWORD, DEMO_PASSWORD, project
from workers import idempotency
from workers.idempotency import Request
from workers.models import IdempotencyKey

TOKENS = "/identity/v3/auth/tokens"


def log_in(
    name: str = "demo", password: str = DEMO_PASSWORD, *, key: str | None = "k", scope: Any = None
) -> Any:
    user = {"name": name, "domain": {"id": "default"}, "password": password}
    auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
    auth["scope"] = scope or project("demo")
    headers = {} if key is None else {"Idempotency-Key": key}
    client = Client(REMOTE_ADDR="192.0.2.7", headers=headers)
    return client.post(TOKENS, {"auth": auth}, "application/json")


def message(answer: Any) -> str:
    return str(answer.json()["error"]["message"])


def test_the_second_log_in_with_a_key_is_told_of_the_first_one_s_token(there: Bootstrapped):
    first = log_in()
    assert first.status_code == 201, first.content
    again = log_in()
    assert again.status_code == 409
    assert "X-Subject-Token" not in again
    assert f"token {first.json()['token']['audit_ids'][0]}" in message(again)
    kept = str(list(IdempotencyKey.objects.values()))
    assert first["X-Subject-Token"] not in kept
    assert DEMO_PASSWORD not in kept


def test_another_body_with_the_key_is_refused(there: Bootstrapped):
    assert log_in().status_code == 201
    refused = log_in(scope={"project": {"id": there.demo_project_id}})
    assert refused.status_code == 409
    assert "which was another" in message(refused)


def test_users_and_the_projects_of_one_user_have_keys_of_their_own(there: Bootstrapped):
    assert log_in().status_code == 201
    assert log_in(scope={"unscoped": {}}).status_code == 201
    assert log_in("admin", ADMIN_PASSWORD, scope=project("admin")).status_code == 201
    assert IdempotencyKey.objects.count() == 3


def test_a_wrong_password_neither_uses_a_key_up_nor_tells_of_one(there: Bootstrapped):
    wrong = log_in(password="wrong")
    assert wrong.status_code == 401
    assert not IdempotencyKey.objects.exists()
    assert log_in().status_code == 201
    known = log_in(password="wrong")
    assert (known.status_code, message(known)) == (401, message(wrong))
    assert IdempotencyKey.objects.count() == 1


def test_a_scope_that_is_refused_uses_no_key_up(there: Bootstrapped):
    assert log_in(scope=project("admin")).status_code == 401
    assert not IdempotencyKey.objects.exists()


def test_failures_are_counted_whatever_key_they_come_with(there: Bootstrapped):
    assert log_in().status_code == 201
    refused = [log_in(password="wrong").status_code for _ in range(40)]
    assert refused[-1] == 429
    assert log_in().status_code == 429


def test_a_log_in_without_a_key_asks_for_none(there: Bootstrapped):
    with CaptureQueriesContext(connection) as without:
        assert log_in(key=None).status_code == 201
    assert [query for query in without if "idempotency" in query["sql"]] == []


def test_a_log_in_that_is_under_way_is_to_be_tried_again(there: Bootstrapped):
    assert log_in().status_code == 201
    IdempotencyKey.objects.update(status=None, withheld="")
    again = log_in()
    assert (again.status_code, again["Retry-After"]) == (409, "1")


def test_a_key_that_is_too_old_makes_a_new_token(there: Bootstrapped):
    assert log_in().status_code == 201
    IdempotencyKey.objects.update(created_at=idempotency.oldest(spare_h=1))
    assert log_in().status_code == 201


def test_what_was_answered_without_a_secret_is_answered_again(there: Bootstrapped):
    first = log_in()
    IdempotencyKey.objects.update(
        withheld="", headers={"Content-Type": "application/json"}, body=json.dumps({"kept": True})
    )
    again = log_in()
    assert (again.status_code, again.json()) == (first.status_code, {"kept": True})
    assert again["Idempotency-Replayed"] == "true"
    assert "X-Subject-Token" not in again


def test_the_fingerprint_of_a_request_cannot_be_made_without_the_installation_s_key(
    there: Bootstrapped, settings: Any
):
    assert log_in().status_code == 201
    first = IdempotencyKey.objects.get().fingerprint
    IdempotencyKey.objects.all().delete()
    settings.SECRET_KEY = "of another installation, and long enough for every signature"
    answer = log_in()
    assert answer.status_code == 201
    assert IdempotencyKey.objects.get().fingerprint != first


@pytest.mark.parametrize("with_project", [True, False])
def test_the_key_is_the_user_s_in_the_scope_of_the_token(there: Bootstrapped, with_project: bool):
    answer = log_in(scope=None if with_project else "unscoped")
    caller = tokens.check(answer["X-Subject-Token"])
    row = IdempotencyKey.objects.get()
    assert (row.user_id, row.project_id) == (caller.user_id, there.demo_project_id if with_project else "")
    asked = Request(caller=caller, key="k", fingerprint="another", request_id="r")
    with pytest.raises(idempotency.KeyOfAnother):
        idempotency.take(asked)
