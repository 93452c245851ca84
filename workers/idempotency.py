"""Idempotency keys: a POST that is sent again with its key is answered again and not done again.

A request that has a key writes first that it has begun, in the transaction of whatever it writes first. So the row says
truly whether anything was committed, wherever the process died, and a request whose key was taken over commits nothing.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q

from computecloud.config import CONFIG
from computecloud.wire.caller import Caller
from computecloud.wire.errors import Conflict
from workers import clock, sql
from workers.models import ArchivedOperation, IdempotencyKey, Operation, utc_now
from workers.process import new_token

RUNNING_S = 30.0  # a request that has no answer after this is taken for dead
BATCH = 1_000
_WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE)\b", re.IGNORECASE)

_TAKE = """
INSERT INTO workers_idempotencykey (user_id, project_id, key, fingerprint, request_id, holder, taken_at, begun,
    headers, body, withheld, created_at)
VALUES (%(user_id)s, %(project_id)s, %(key)s, %(fingerprint)s, %(request_id)s, %(holder)s, %(now)s, %(no)s,
    '{}', '', '', %(at)s)
ON CONFLICT DO NOTHING RETURNING id
"""
_BEGIN = """
UPDATE workers_idempotencykey SET begun = %(yes)s WHERE id = %(id)s AND holder = %(holder)s
"""


class KeyInUse(Conflict):
    """The first request with this key has no answer yet, or another one took its key over."""


class KeyOfAnother(Conflict):
    """The key names another request."""


class AnswerNotKept(Conflict):
    """The first request was done, and its answer cannot be given again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to the first request."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class Request:
    """A POST as its key names it."""

    caller: Caller
    key: str
    fingerprint: str
    request_id: str


@dataclass(slots=True)
class Claim:
    """The right to do what a key stands for."""

    id: int
    holder: str
    begun: bool = False  # and that is committed


def take(request: Request) -> Claim | Answer:
    """Return the right to do the request's work, or the answer that the first one got.

    Raises KeyOfAnother, KeyInUse where the first one is under way, AnswerNotKept.
    """
    for _ in range(3):  # what was there may be gone when it is read
        if claim := _insert(request):
            return claim
        if first := IdempotencyKey.objects.filter(_of(request)).first():
            if first.created_at < oldest():
                IdempotencyKey.objects.filter(id=first.id).delete()
            else:
                return _after(first, request)
    raise KeyInUse("Another request with this Idempotency-Key is under way. Try again.")


@contextmanager
def protected(claim: Claim) -> Iterator[None]:
    """Have every transaction of the block write that the work has begun, before its own first write.

    A write raises KeyInUse where the key was taken over, so that its transaction is rolled back.
    """

    def first_begin(execute: Callable[..., Any], statement: str, *rest: Any) -> Any:
        if not claim.begun and _WRITES.match(str(statement)) and "workers_idempotencykey" not in statement:
            _begin(claim)
        return execute(statement, *rest)

    with connection.execute_wrapper(first_begin):
        yield


def keep(claim: Claim, answer: Answer) -> None:
    """Keep the answer for whoever asks again."""
    _unanswered(claim).update(status=answer.status, headers=answer.headers, body=answer.body)


def withhold(claim: Claim, status: int, made: str) -> None:
    """Keep only what was made: the answer held a secret."""
    _unanswered(claim).update(status=status, withheld=made[:255])


def give_back(claim: Claim, *, whatever: bool) -> None:
    """Forget the key, so that the next request does the work; but what has begun only where `whatever` is true."""
    rows = _unanswered(claim)
    (rows if whatever else rows.filter(begun=False)).delete()


def forget_old() -> int:
    """Remove the keys whose time is over; returns how many."""
    removed = 0
    while True:
        old = list(
            IdempotencyKey.objects.filter(created_at__lt=oldest()).values_list("id", flat=True)[:BATCH]
        )
        removed += IdempotencyKey.objects.filter(id__in=old).delete()[0]
        if len(old) < BATCH:
            return removed


def oldest(*, spare_h: float = 0.0) -> datetime:
    """Return when the oldest key was used that still counts; spare_h: and how much longer it may be there."""
    return utc_now() - timedelta(hours=CONFIG.idempotency_keys_kept_h + spare_h)


def _insert(request: Request) -> Claim | None:
    now, holder = clock.now(), new_token()
    values: Mapping[str, Any] = {
        "user_id": request.caller.user_id,
        "project_id": request.caller.project_id or "",
        "key": request.key,
        "fingerprint": request.fingerprint,
        "request_id": request.request_id,
        "holder": holder,
        "now": now,
        "no": False,
        "at": utc_now(),
    }
    rows = sql.fetch(_TAKE, values)
    return Claim(rows[0][0], holder) if rows else None


def _after(first: IdempotencyKey, request: Request) -> Claim | Answer:
    if first.fingerprint != request.fingerprint:
        raise KeyOfAnother(
            f"This Idempotency-Key was used for request {first.request_id}, which was another: its path, version or "
            "body differs. Use a new key for a new request."
        )
    if first.withheld:
        raise AnswerNotKept(
            f"Request {first.request_id} with this Idempotency-Key was done: it made {first.withheld}. Its answer "
            "held a secret and was not kept."
        )
    if first.status is not None:
        return Answer(first.status, first.headers, first.body)
    if first.taken_at > clock.now() - RUNNING_S:
        raise KeyInUse(
            f"Request {first.request_id} with this Idempotency-Key is still under way. Try again in a moment."
        )
    if first.begun:
        raise AnswerNotKept(_lost(first))
    return _take_over(first, request)


def _take_over(first: IdempotencyKey, request: Request) -> Claim:
    """Do the work of a request that died before it wrote anything; if it lives after all, it commits nothing."""
    holder = new_token()
    idle = IdempotencyKey.objects.filter(id=first.id, holder=first.holder, begun=False, status=None)
    if idle.update(holder=holder, taken_at=clock.now(), request_id=request.request_id):
        return Claim(first.id, holder)
    raise KeyInUse("Another request with this Idempotency-Key is under way. Try again in a moment.")


def _lost(first: IdempotencyKey) -> str:
    """Say what became of a request that was begun and not answered: its process died."""
    asked = Q(request_id=first.request_id)
    made = [
        f"{kind} of {subject_type} {subject_id}"
        for model in (Operation, ArchivedOperation)
        for kind, subject_type, subject_id in model.objects.filter(asked).values_list(
            "kind", "subject_type", "subject_id"
        )[:10]
    ]
    if made:
        return (
            f"Request {first.request_id} with this Idempotency-Key was accepted: {', '.join(made)}. Its answer was "
            "lost. Look at what it made."
        )
    return (
        f"Request {first.request_id} with this Idempotency-Key was begun, and its answer was lost. Look whether it did "
        "what you asked for, and use a new key if it did not."
    )


def _begin(claim: Claim) -> None:
    values = {"id": claim.id, "holder": claim.holder, "yes": True}
    if not sql.execute(_BEGIN, values):
        raise KeyInUse("This request took so long that another one with its Idempotency-Key does its work.")
    if not connection.in_atomic_block:
        claim.begun = True
        return

    def committed() -> None:
        claim.begun = True

    transaction.on_commit(committed)


def _of(request: Request) -> Q:
    return Q(user_id=request.caller.user_id, project_id=request.caller.project_id or "", key=request.key)


def _unanswered(claim: Claim) -> Any:
    return IdempotencyKey.objects.filter(id=claim.id, holder=claim.holder, status=None)
