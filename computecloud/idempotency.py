"""The Idempotency-Key header of every API's POST: the first answer is given again, the work is not done again."""

import hashlib
import hmac
import io
import re
from contextlib import ExitStack
from dataclasses import dataclass

import orjson
import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError

from computecloud.wire import faults, requestid, versions
from computecloud.wire.caller import Caller
from computecloud.wire.errors import CloudError, Conflict, InvalidInput, Unauthenticated
from computecloud.wire.middleware import GetResponse
from computecloud.wire.outage import is_outage
from computecloud.wire.parsers import MAX_BODY_BYTES
from computecloud.wire.services import Service, by_path
from identity import tokens
from workers import idempotency
from workers.idempotency import Answer, Claim, KeyInUse, Request

log = structlog.get_logger()

REPLAYED = "Idempotency-Replayed"
_KEY = re.compile(r"[!-~]{1,255}")
_VERSIONS = ("HTTP_OPENSTACK_API_VERSION", "HTTP_X_OPENSTACK_NOVA_API_VERSION")
# What a client needs of an answer that is given again.
_HEADERS = (
    *("Content-Type", "Location", "Vary", "x-openstack-request-id", "x-compute-request-id"),
    *("OpenStack-API-Version", "X-OpenStack-Nova-API-Version"),
)
# Refusals that the request alone decides; others may pass when the world has changed.
_ALWAYS_REFUSED = {400, 405, 406, 413, 415}
_SECRET = re.compile(rb'"(adminPass|password|private_key|secret|token|console|remote_console)"\s*:\s*["{\[]')
_SECRET_HEADERS = ("X-Subject-Token",)


class MalformedKey(InvalidInput):
    """The header holds no key (400)."""


class AnsweredBefore(Conflict):
    """The request was answered, and is answered so again: the view stops at this."""


@dataclass(slots=True)
class _LateKey:
    """The key of a request that only its view can tell the caller of, as in a log-in."""

    key: str
    fingerprint: str
    until_answered: ExitStack
    claim: Claim | None = None
    answer: Answer | None = None
    in_use: bool = False

    def take(self, caller: Caller) -> None:
        """Count the key for who has proved who he is; raises AnsweredBefore, and what idempotency.take() does."""
        try:
            taken = idempotency.take(_request(caller, self.key, self.fingerprint))
        except KeyInUse:
            self.in_use = True
            raise
        if isinstance(taken, Answer):
            self.answer = taken
            raise AnsweredBefore("This request was answered before.")
        self.claim = taken
        self.until_answered.enter_context(idempotency.protected(taken))


class IdempotencyMiddleware:
    """Answers a POST whose key is known from what is kept; requests without a key cost nothing."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request, once for all that have its key."""
        key = request.META.get("HTTP_IDEMPOTENCY_KEY")
        if key is None or request.method != "POST":
            return self._get_response(request)
        service = by_path(request.path)
        if service is None:
            return self._get_response(request)
        try:
            if _KEY.fullmatch(key) is None:
                raise MalformedKey("An Idempotency-Key is 1 to 255 visible ASCII characters without spaces.")
            fingerprint = _fingerprint(request)
            if fingerprint is None:
                return self._get_response(request)
            caller = _caller(request)
            if caller is None:
                return self._late(request, key, fingerprint)
            taken = idempotency.take(_request(caller, key, fingerprint))
        except (CloudError, DatabaseError, InterfaceError) as error:
            if not isinstance(error, CloudError) and not is_outage(error):
                raise
            return _refused(request, service, error)
        if isinstance(taken, Answer):
            return _again(taken)
        return self._first(request, taken)

    def _first(self, request: HttpRequest, claim: Claim) -> HttpResponseBase:
        """Do the work, and keep its answer."""
        with idempotency.protected(claim):
            response = self._get_response(request)
        _settle(claim, response)
        return response

    def _late(self, request: HttpRequest, key: str, fingerprint: str) -> HttpResponseBase:
        """Have the view say who asks, once it has checked that; where it does not, the key counts for nothing."""
        with ExitStack() as until_answered:
            late = _LateKey(key, fingerprint, until_answered)
            request.take_key = late.take  # type: ignore[attr-defined]
            response = self._get_response(request)
        if late.answer is not None:
            return _again(late.answer)
        if late.claim is not None:
            _settle(late.claim, response)
        elif late.in_use:
            response["Retry-After"] = "1"
        return response


def _request(caller: Caller, key: str, fingerprint: str) -> Request:
    return Request(caller=caller, key=key, fingerprint=fingerprint, request_id=requestid.current())


def _fingerprint(request: HttpRequest) -> str | None:
    """Return what tells the request from others; None where it has a body that no view will take.

    Made with the installation's key: nobody can guess passwords by it who has no more than the database.
    """
    try:
        body = _body(request)
    except (RequestDataTooBig, UnreadablePostError, OSError):
        return None
    said = [request.META.get(name, "") for name in _VERSIONS]
    parts = [request.get_full_path(), request.content_type or "", *said]
    said_and_sent = "\0".join(["POST", *parts, ""]).encode() + body
    return hmac.new(str(settings.SECRET_KEY).encode(), said_and_sent, hashlib.sha256).hexdigest()


def _caller(request: HttpRequest) -> Caller | None:
    try:
        return tokens.check(request.META.get("HTTP_X_AUTH_TOKEN", ""))
    except Unauthenticated:
        return None


def _body(request: HttpRequest) -> bytes:
    """Return the body, and leave it to be read again by the view."""
    chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
    if not chunked or request.META.get("CONTENT_LENGTH"):
        return request.body
    raw: bytes = request.META["wsgi.input"].read(MAX_BODY_BYTES + 1)
    request.META["wsgi.input"] = io.BytesIO(raw)
    return raw


def _settle(claim: Claim, response: HttpResponseBase) -> None:
    """Keep what may be answered again; where that fails, the row says already what was begun."""
    try:
        _keep(claim, response)
    except (DatabaseError, InterfaceError) as error:
        if not is_outage(error):
            raise
        log.warning("idempotency.not_kept", error=str(error))


def _keep(claim: Claim, response: HttpResponseBase) -> None:
    """Keep an answer that will always be this one; where the request did nothing, leave its key free."""
    status = response.status_code
    if status >= 500 or not isinstance(response, HttpResponse):
        idempotency.give_back(claim, whatever=False)
    elif status >= 400 and status not in _ALWAYS_REFUSED:
        idempotency.give_back(claim, whatever=True)
    elif _holds_secret(response):
        idempotency.withhold(claim, status, _made(response))
    else:
        headers = {name: response[name] for name in _HEADERS if name in response}
        headers.setdefault("x-openstack-request-id", requestid.current())
        headers.setdefault("x-compute-request-id", requestid.current())
        idempotency.keep(claim, Answer(status, headers, response.content.decode()))


def _holds_secret(response: HttpResponse) -> bool:
    return any(name in response for name in _SECRET_HEADERS) or bool(_SECRET.search(response.content))


def _made(response: HttpResponse) -> str:
    """Name what an answer tells of: its key with the id or name under it, a token by its audit id."""
    body = orjson.loads(response.content or b"{}")
    for kind, value in body.items() if isinstance(body, dict) else ():
        if isinstance(value, dict):
            audit_id = next(iter(value.get("audit_ids") or ()), None)
            if name := value.get("id") or value.get("name") or audit_id:
                return f"{kind} {name}"
    return response.get("Location") or "what it answered with"


def _again(answer: Answer) -> HttpResponse:
    log.info("request.replayed", first_request_id=answer.headers.get("x-openstack-request-id"))
    response = HttpResponse(answer.body, status=answer.status, headers=answer.headers)
    if "Content-Type" not in answer.headers:
        del response["Content-Type"]
    response[REPLAYED] = "true"
    return response


def _refused(request: HttpRequest, service: Service, error: Exception) -> HttpResponse:
    status = faults.status_of(error)
    response = faults.fault(request, service, status, faults.message_of(error, status), type(error).__name__)
    versions.echo(service, service.min, response)
    if isinstance(error, KeyInUse):
        response["Retry-After"] = "1"
    return response
