"""Rotating the keys that tokens are signed with: nobody is logged out, in no process."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from click.testing import CliRunner, Result

from computecloud.cli.app import computecloud
from computecloud.config import CONFIG
from identity import revocation, signing, throttle, tokens
from identity.models import LoginFailure, Revocation, SigningKey
from identity.tokens import Grant, InvalidToken
from workers import audits

GRANT = Grant(user_id="u", user_name="n", user_domain_id="default", roles=("member",), project_id="p")


@pytest.fixture(autouse=True)
def _fresh(db: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Begin and end without remembered keys; new keys sign at once."""
    monkeypatch.setattr(signing, "SETTLES", timedelta(0))
    monkeypatch.setattr(signing, "REFRESH_S", 1.0)
    monkeypatch.setattr(revocation, "REFRESH_S", 1.0)
    forget_all()
    yield
    forget_all()


def forget_all() -> None:
    """Make this process know what a new one knows."""
    signing.forget()
    revocation.forget()
    tokens._read.cache_clear()


def kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


@pytest.fixture
def set_keys(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the signing keys, as a restart with another environment would."""

    def change(text: str) -> None:
        monkeypatch.setattr(signing, "CONFIG", msgspec.structs.replace(CONFIG, token_keys=text))
        forget_all()

    return change


def test_keys_of_the_settings_log_nobody_out_when_a_new_one_stands_in_front(set_keys: Any) -> None:
    set_keys("first")
    old = tokens.issue(GRANT)
    set_keys("second, first")
    assert tokens.check(old).user_id == "u"
    new = tokens.issue(GRANT)
    assert kid(new) != kid(old)
    set_keys("second")
    assert tokens.check(new).user_id == "u"
    with pytest.raises(InvalidToken):
        tokens.check(old)


def test_keys_of_the_settings_are_rotated_there_alone(set_keys: Any) -> None:
    set_keys("first")
    with pytest.raises(signing.KeysAreSet, match="COMPUTECLOUD_TOKEN_KEYS"):
        signing.rotate()
    assert SigningKey.objects.count() == 0


def test_rotating_logs_nobody_out_and_signs_with_the_new_key() -> None:
    old = tokens.issue(GRANT)
    first = signing.rotate()
    new = tokens.issue(GRANT)
    assert kid(new) == first != kid(old)
    second = signing.rotate()
    newest = tokens.issue(GRANT)
    assert kid(newest) == second
    forget_all()
    for token in (old, new, newest):
        assert tokens.check(token).user_id == "u"
    assert [row.id for row in signing.listed()] == [second, first, kid(old)]


def test_a_new_key_signs_only_when_whoever_checks_may_have_looked_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = signing.rotate()
    monkeypatch.setattr(signing, "SETTLES", timedelta(seconds=5))
    assert timedelta(seconds=signing.REFRESH_S) < signing.SETTLES
    SigningKey.objects.filter(id=first).update(created_at=datetime.now(UTC) - timedelta(seconds=6))
    second = signing.rotate()
    assert kid(tokens.issue(GRANT)) == first
    SigningKey.objects.filter(id=second).update(created_at=datetime.now(UTC) - timedelta(seconds=6))
    signing.forget()
    assert kid(tokens.issue(GRANT)) == second


def test_another_process_checks_a_token_of_a_key_that_it_did_not_know() -> None:
    tokens.check(tokens.issue(GRANT))
    before = signing._memory.known
    signing.rotate()
    new = tokens.issue(GRANT)
    signing._memory.known = before  # as if another process had rotated and signed
    signing._memory.read_at = time.monotonic() - signing.REFRESH_S
    assert tokens.check(new).user_id == "u"


def test_a_known_key_costs_a_check_no_query_and_an_unknown_one_at_most_one_a_second(
    django_assert_num_queries: Any,
) -> None:
    good = tokens.issue(GRANT)
    bad = jwt.encode({"sub": "u"}, b"x" * 32, "HS256", {"kid": "unknown"})
    signing.forget()
    revocation.assume_current()
    tokens._read(good)
    with django_assert_num_queries(0):
        for _ in range(3):
            tokens._read.cache_clear()
            tokens.check(good)
            with pytest.raises(InvalidToken):
                tokens.check(bad)


def test_a_key_checks_until_its_last_token_has_expired_and_is_then_deleted() -> None:
    old = tokens.issue(GRANT)
    first = signing.rotate()
    middle = tokens.issue(GRANT)
    signing.rotate()
    row = SigningKey.objects.get(id=first)
    assert row.expires_at is not None
    left = (row.expires_at - datetime.now(UTC)).total_seconds()
    assert left > CONFIG.token_lifetime_s
    assert signing.delete_expired() == 0
    SigningKey.objects.exclude(expires_at=None).update(expires_at=datetime.now(UTC) - timedelta(days=1))
    forget_all()
    for token in (old, middle):
        with pytest.raises(InvalidToken):
            tokens.check(token)
    assert signing.delete_expired() == 1
    # What is made from the settings stays retired: it would check again.
    assert [row.id for row in signing.listed()][1:] == [kid(old)]


def test_a_stolen_key_checks_nothing_any_more_not_even_what_it_signs_later() -> None:
    old = tokens.issue(GRANT)
    key_id, key = signing.signing_key()
    known = signing._memory.known
    signing.rotate(at_once=True)
    later = jwt.decode(old, key, ["HS256"]) | {"iat": time.time() + 30}
    forged = jwt.encode(later, key, "HS256", {"kid": key_id})
    for remembered in (known, None):  # another process that has not looked since, and this one
        signing._memory.known = remembered
        tokens._read.cache_clear()
        for token in (old, forged):
            with pytest.raises(InvalidToken):
                tokens.check(token)
    signing.forget()
    assert tokens.check(tokens.issue(GRANT)).user_id == "u"


def test_a_token_of_tomorrow_is_refused() -> None:
    with pytest.raises(InvalidToken):
        tokens.check(tokens.issue(GRANT, at=time.time() + 3_600))


def test_a_key_is_not_in_the_table_in_clear_and_not_read_with_another_secret_key(settings: Any) -> None:
    old = tokens.issue(GRANT)
    signing.rotate()
    _, key = signing.signing_key()
    sealed = SigningKey.objects.exclude(sealed="").get().sealed
    assert key.hex() not in sealed and sealed.startswith("gAAAA")
    token = tokens.issue(GRANT)
    settings.SECRET_KEY = "another"
    forget_all()
    with pytest.raises(InvalidToken):
        tokens.check(token)
    assert kid(tokens.issue(GRANT)) == kid(old)


def test_an_audit_removes_what_means_nothing_any_more() -> None:
    past = datetime.now(UTC) - timedelta(days=2)
    Revocation.objects.create(key="audit:old", before=0.0, expires_at=past)
    Revocation.objects.create(key="audit:new", before=0.0, expires_at=datetime.now(UTC))
    SigningKey.objects.create(id="old", sealed="x", created_at=past, expires_at=past)
    LoginFailure.objects.create(key="old", began_at=past)
    throttle.note_failure("new")
    LoginFailure.objects.create(key="older", began_at=past)
    audits.run("expiry", pause=lambda _s: None)
    assert [row.key for row in Revocation.objects.all()] == ["audit:new"]
    assert [row.key for row in LoginFailure.objects.all()] == ["new"]
    assert not SigningKey.objects.exists()


# The command


@pytest.fixture
def run() -> Any:
    """Return what runs a command on the tests' own state folder."""
    Path(CONFIG.state, "settings.env").touch()

    def call(*words: str) -> Result:
        return CliRunner().invoke(computecloud, words)

    return call


def test_the_command_rotates_and_lists(run: Any) -> None:
    [only] = json.loads(run("token", "keys", "--json").output)
    assert (only["signs"], only["made"]) == (True, None)
    told = run("token", "rotate")
    assert told.exit_code == 0 and "older tokens stay good" in told.output
    new, old = json.loads(run("token", "keys", "--json").output)
    assert (new["signs"], old["signs"], old["id"]) == (True, False, only["id"])
    assert new["id"] in told.output and old["checks_until"] is not None
    assert "void" in run("token", "rotate", "--at-once").output
    table = run("token", "keys").output.splitlines()
    assert len(table) == 4 and table[1].split()[-1] == "yes"


def test_the_command_refuses_where_the_settings_have_the_keys(run: Any, set_keys: Any) -> None:
    set_keys("first")
    refused = run("token", "rotate")
    assert refused.exit_code == 1 and "COMPUTECLOUD_TOKEN_KEYS" in refused.output


CHECKER = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "computecloud.settings"
import django
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
django.setup()
from identity import tokens
for line in sys.stdin:
    try:
        print(tokens.check(line.strip()).user_id, flush=True)
    except tokens.InvalidToken as error:
        print("refused:", error.message, flush=True)
"""


@pytest.mark.django_db(transaction=True)
def test_a_process_that_runs_checks_what_another_one_signs_after_rotating() -> None:
    from django.db import connection

    name = str(connection.settings_dict["NAME"])
    other = subprocess.Popen(
        [sys.executable, "-c", CHECKER, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdin and other.stdout

    def asked(token: str) -> str:
        other.stdin.write(token + "\n")
        other.stdin.flush()
        return other.stdout.readline().strip()

    try:
        old = tokens.issue(GRANT)
        assert asked(old) == "u"
        signing.rotate()
        time.sleep(signing.REFRESH_S)  # a new key signs later than this
        assert asked(tokens.issue(GRANT)) == "u"
        tokens._read.cache_clear()
        assert asked(old) == "u"
        signing.rotate(at_once=True)
        time.sleep(revocation.REFRESH_S)
        assert asked(old).startswith("refused:")
        signing.forget()
        time.sleep(signing.REFRESH_S)
        assert asked(tokens.issue(GRANT)) == "u"
    finally:
        other.stdin.close()
        other.wait(30)
