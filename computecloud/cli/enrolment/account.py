"""The broker user of a host's worker: it reads the host's own queues, and may ring at the others."""

import re
import shlex
import subprocess
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

import redis

from computecloud.broker import is_rabbitmq
from computecloud.cli.failures import Failure

COMMANDS = ["-@all", "+@read", "+@write", "+@connection", "+@transaction", "-@dangerous", "+info"]
RINGING = "(%W~control %W~host.* +lpush)"  # of others: a selector, as Redis has them since 7.0
TIMEOUT_S = 60


def name_of(host: str) -> str:
    """Return the name of a host's user: the same for the same host."""
    return f"computecloud-host-{host}"


def make(url: str, host: str, password: str, *, rabbitmqctl: str) -> str:
    """Have the user be there with this password and its rights alone; returns what an operator is to know.

    Raises Failure where the broker refuses.
    """
    if is_rabbitmq(url):
        return _make_in_rabbitmq(url, host, password, rabbitmqctl)
    return _make_in_redis(url, host, password)


def drop(url: str, host: str, *, rabbitmqctl: str) -> None:
    """Have the user not be there; raises Failure where the broker refuses."""
    name = name_of(host)
    if is_rabbitmq(url):
        if _is_in_rabbitmq(name, rabbitmqctl):
            _control(rabbitmqctl, "delete_user", name)
        return
    with _redis(url) as client:
        try:
            client.execute_command("ACL", "DELUSER", name)
            _keep(client)
        except redis.RedisError as error:
            raise _refused(error) from None


def _make_in_redis(url: str, host: str, password: str) -> str:
    own = f"host.{host}"
    keys = [f"~{own}", f"~{own}.slow", "~_kombu.binding*"]
    words = ["reset", "on", f">{password}", *keys, "resetchannels", *COMMANDS, RINGING]
    with _redis(url) as client:
        try:
            client.execute_command("ACL", "SETUSER", name_of(host), *words)
            kept = _keep(client)
        except redis.RedisError as error:
            raise _refused(error) from None
    if kept:
        return ""
    return "this Redis keeps no users over a restart: give it an aclfile, or enroll again after one"


def _keep(client: Any) -> bool:
    """Have Redis write its users down; False where it has no file for that."""
    for words in (("ACL", "SAVE"), ("CONFIG", "REWRITE")):
        with suppress(redis.ResponseError):
            client.execute_command(*words)
            return True
    return False


def _redis(url: str) -> Any:
    return redis.Redis.from_url(
        url.replace("redis+socket://", "unix://"), socket_timeout=TIMEOUT_S, socket_connect_timeout=5
    )


def _refused(error: Exception) -> Failure:
    return Failure(
        f"Redis does not make the worker's user: {error}",
        advice="COMPUTECLOUD_BROKER_URL must be of a user who may use ACL; then run this again",
    )


def _make_in_rabbitmq(url: str, host: str, password: str, rabbitmqctl: str) -> str:
    name, own = name_of(host), rf"host\.{re.escape(host)}(\.slow)?"
    vhost = unquote(urlsplit(url).path[1:]) or "/"
    if _is_in_rabbitmq(name, rabbitmqctl):
        _control(rabbitmqctl, "change_password", name, stdin=password)
    else:
        _control(rabbitmqctl, "add_user", name, stdin=password)
    declared, rung = rf"^({own}|control)$", r"^(control|host\..*|amq\.default|)$"
    _control(rabbitmqctl, "set_permissions", "-p", vhost, name, declared, rung, rf"^({own}|control)$")
    return ""


def _is_in_rabbitmq(name: str, rabbitmqctl: str) -> bool:
    listed = _control(rabbitmqctl, "list_users", "--silent")
    return any(line.split("\t")[0] == name for line in listed.splitlines())


def _control(rabbitmqctl: str, *words: str, stdin: str = "") -> str:
    """Run rabbitmqctl; a password goes through its standard input, where no list of processes shows it."""
    try:
        done = subprocess.run(
            [*shlex.split(rabbitmqctl), *words],
            input=stdin and f"{stdin}\n",
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _not_controlled(str(error)) from None
    if done.returncode:
        raise _not_controlled((done.stderr or done.stdout).strip()[-300:])
    return done.stdout


def _not_controlled(why: str) -> Failure:
    return Failure(
        f"RabbitMQ does not make the worker's user: {why}",
        advice="run this where rabbitmqctl reaches the broker, or say how: --rabbitmqctl 'ssh broker rabbitmqctl'",
    )
