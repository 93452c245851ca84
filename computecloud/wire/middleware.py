"""The two middlewares: request ids and one log line a request; Django's page machinery for pages alone."""

import time
from collections.abc import Callable
from typing import Any

import structlog
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware

from computecloud import metrics
from computecloud.wire import requestid

log = structlog.get_logger()

GetResponse = Callable[[HttpRequest], HttpResponseBase]
PAGE_PREFIXES = ("/admin", "/operations")
PAGE_MIDDLEWARE: tuple[type[Any], ...] = (
    SecurityMiddleware,
    SessionMiddleware,
    CsrfViewMiddleware,
    AuthenticationMiddleware,
    MessageMiddleware,
    XFrameOptionsMiddleware,
)


class RequestIdMiddleware:
    """Gives every request an id, puts it on every answer and log line, and logs the answer."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request with its id in x-openstack-request-id and x-compute-request-id."""
        began = time.perf_counter()
        request_id = requestid.new()
        given = request.META.get("HTTP_X_OPENSTACK_REQUEST_ID", "")
        global_id = given if requestid.is_well_formed(given) else ""
        requestid.bind(request_id)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        if global_id:
            structlog.contextvars.bind_contextvars(global_request_id=global_id)
        try:
            response = self.get_response(request)
            response.setdefault("x-openstack-request-id", request_id)  # an answer given again has the first's
            response.setdefault("x-compute-request-id", request_id)
            if isinstance(response, HttpResponse):
                response["Content-Length"] = str(len(response.content))
            _log(request, response, began)
        finally:
            structlog.contextvars.clear_contextvars()
            requestid.bind("")
        return response


class OnlyForPages:
    """Runs Django's session, authentication, CSRF and messages middleware for pages; API calls pay nothing."""

    def __init__(self, get_response: GetResponse) -> None:
        self._direct = get_response
        chain: Any = get_response
        self._view_hooks: list[Callable[..., HttpResponseBase | None]] = []
        for middleware in reversed(PAGE_MIDDLEWARE):
            chain = middleware(chain)
            if hasattr(chain, "process_view"):
                self._view_hooks.insert(0, chain.process_view)
        self._paged: GetResponse = chain

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer by way of the page middleware, or directly."""
        return self._paged(request) if _is_page(request) else self._direct(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """Run the page middleware's checks that know the view, CSRF among them."""
        if _is_page(request):
            for hook in self._view_hooks:
                answer = hook(request, view, args, kwargs)
                if answer is not None:
                    return answer
        return None


def _is_page(request: HttpRequest) -> bool:
    return request.path_info.startswith(PAGE_PREFIXES) or hasattr(request, "urlconf")


def _log(request: HttpRequest, response: HttpResponseBase, began: float) -> None:
    caller = getattr(request, "caller", None)
    response._has_been_logged = True  # type: ignore[attr-defined]  # or Django logs refusals a second time
    took_s = time.perf_counter() - began
    metrics.request_answered(
        route=request.resolver_match.route if request.resolver_match else "",
        method=str(request.method),
        status=response.status_code,
        took_s=took_s,
    )
    log.info(
        "request.answered",
        method=request.method,
        path=request.path,
        status=response.status_code,
        ms=round(took_s * 1_000, 2),
        user_id=getattr(caller, "user_id", None),
        project_id=getattr(caller, "project_id", None),
    )
