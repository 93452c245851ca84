"""The Idempotency-Key header of every API's POST: the first answer is given again, the work is not done again."""

import hashlib
import io
import re

import orjson
import structlog
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError

from computecloud.wire import faults, requestid, versions
from computecloud.wire.caller import Caller
from computecloud.wire.errors import CloudError, InvalidInput, Unauthenticated
from computecloud.wire.middleware import GetResponse
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
            asked = _asked(request, key)
            if asked is None:  # nobody asks, as in a log-in: nothing is kept, the view decides
                return self._get_response(request)
            taken = idempotency.take(asked)
        except (CloudError, OperationalError, InterfaceError) as error:
            return _refused(request, service, error)
        if isinstance(taken, Answer):
            log.info("request.replayed", first_request_id=taken.headers.get("x-openstack-request-id"))
            return _again(taken)
        return self._first(request, taken)

    def _first(self, request: HttpRequest, claim: Claim) -> HttpResponseBase:
        """Do the work, and keep its answer."""
        with idempotency.protected(claim):
            response = self._get_response(request)
        try:
            _settle(claim, response)
        except (OperationalError, InterfaceError) as error:  # the row says already what was begun
            log.warning("idempotency.not_kept", error=str(error))
        return response


def _asked(request: HttpRequest, key: str) -> Request | None:
    """Return the request as its key names it; None where it has no caller, or a body that no view will take."""
    caller = _caller(request)
    if caller is None:
        return None
    try:
        body = _body(request)
    except (RequestDataTooBig, UnreadablePostError, OSError):
        return None
    said = [request.META.get(name, "") for name in _VERSIONS]
    parts = [request.get_full_path(), request.content_type or "", *said]
    digest = hashlib.sha256("\0".join(["POST", *parts, ""]).encode() + body).hexdigest()
    return Request(caller=caller, key=key, fingerprint=digest, request_id=requestid.current())


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
    """Name what an answer tells of: its key with the id or name under it."""
    body = orjson.loads(response.content or b"{}")
    for kind, value in body.items() if isinstance(body, dict) else ():
        if isinstance(value, dict) and (name := value.get("id") or value.get("name")):
            return f"{kind} {name}"
    return response.get("Location") or "what it answered with"


def _again(answer: Answer) -> HttpResponse:
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
