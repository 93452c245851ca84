"""The APIs as a page asks them: in this process, by the session's token, through the same views as every client.

So a page can do what its user's token can do and nothing else, and what is refused is refused in the API's own words.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode

import orjson
from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import resolve

from computecloud.idempotency import IdempotencyMiddleware
from computecloud.wire import faults
from computecloud.wire.caller import Caller
from computecloud.wire.errors import Unauthenticated
from computecloud.wire.renderers import render
from computecloud.wire.services import COMPUTE

_FROM_BROWSER = (
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "HTTP_HOST",
    "REMOTE_ADDR",
    "wsgi.url_scheme",
)


class Refused(Exception):
    """The API refused what a page cannot do without."""

    def __init__(self, answer: "Answer") -> None:
        super().__init__(answer.message)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered; `fields`: what is wrong with which part of the body."""

    status: int
    data: Any
    headers: Mapping[str, str]
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_ok(self) -> bool:
        """Tell whether the API did what it was asked for."""
        return self.status < 400

    @property
    def message(self) -> str:
        """Return the words of a refusal, in whichever service's form."""
        body = self.data if isinstance(self.data, dict) else {}
        for found in (body, *body.values()):
            if isinstance(found, dict) and isinstance(found.get("message"), str):
                return str(found["message"])
        return faults.MESSAGES.get(self.status, f"The API answered {self.status}.")


@dataclass(frozen=True, slots=True)
class Api:
    """The APIs for one page; without a token and caller, what they say to anybody."""

    request: HttpRequest
    token: str = ""
    caller: Caller | None = None

    def ask(self, method: str, path: str, body: Any = None, **extra: str) -> Answer:
        """Return the answer, refusals too; `extra` are environment entries. Raises Unauthenticated for a void token."""
        answer = _call(_inner(self, method, path, body, extra))
        if answer.status == 401 and self.token:
            raise Unauthenticated(answer.message)
        return answer

    def get(self, path: str, **query: Any) -> Any:
        """Return what stands at an address; raises Refused."""
        given = {key: value for key, value in query.items() if value is not None}
        answer = self.ask("GET", f"{path}?{urlencode(given)}" if given else path)
        if not answer.is_ok:
            raise Refused(answer)
        return answer.data

    def found(self, path: str, key: str, **query: Any) -> Any:
        """Return what an answer has under a key; an empty list where the caller may not ask."""
        try:
            return self.get(path, **query)[key]
        except Refused as refusal:
            if refusal.answer.status == 403:
                return []
            raise


def _inner(api: Api, method: str, path: str, body: Any, extra: Mapping[str, str]) -> WSGIRequest:
    raw = b"" if body is None else render(body)
    address, _, query = path.partition("?")
    environ: dict[str, Any] = {
        **{name: api.request.META[name] for name in _FROM_BROWSER if name in api.request.META},
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(address).decode("latin-1"),
        "QUERY_STRING": query,
        "CONTENT_TYPE": "application/json" if raw else "",
        "CONTENT_LENGTH": str(len(raw)),
        "HTTP_ACCEPT": "application/json",
        "HTTP_OPENSTACK_API_VERSION": f"{COMPUTE.type} latest",
        "wsgi.input": io.BytesIO(raw),
        **extra,
    }
    environ.setdefault("wsgi.url_scheme", api.request.scheme)
    if api.token:
        environ["HTTP_X_AUTH_TOKEN"] = api.token
    return WSGIRequest(environ)


def _at_its_view(request: HttpRequest) -> HttpResponseBase:
    try:
        match = resolve(request.path_info, settings.ROOT_URLCONF)
    except Http404 as missing:
        return faults.not_found(request, missing)
    request.resolver_match = match
    answer: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    return answer


_door = IdempotencyMiddleware(_at_its_view)


def _call(request: WSGIRequest) -> Answer:
    response = _door(request)
    raw = response.content if isinstance(response, HttpResponse) else b""
    is_json = response.headers.get("Content-Type", "").startswith("application/json")
    data = orjson.loads(raw) if raw and is_json else None
    return Answer(response.status_code, data, dict(response.headers), getattr(response, "fields", {}))
