"""Errors as answers: one table from error families to statuses, one body form a service."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from rest_framework import exceptions

from computecloud.wire import errors, links, renderers, requestid, versions
from computecloud.wire.outage import is_outage
from computecloud.wire.serializers import describe
from computecloud.wire.services import COMPUTE, IDENTITY, FaultForm, Service, by_path

log = structlog.get_logger()

STATUSES: dict[type[Exception], int] = {
    versions.VersionNotSupported: 406,
    errors.InvalidInput: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.TooManyRequests: 429,
    errors.NotImplementedHere: 501,
    errors.Unavailable: 503,
    Http404: 404,
    PermissionDenied: 403,
    RequestDataTooBig: 413,
    SuspiciousOperation: 400,
    exceptions.NotAuthenticated: 401,
    exceptions.AuthenticationFailed: 401,
}
MESSAGES = {
    400: "The request cannot be understood.",
    401: "The request you have made requires authentication.",
    403: "You may not do this.",
    404: "The resource could not be found.",
    405: "The method is not allowed for this resource.",
    413: "Request is too large.",
    500: "Unexpected error. Quote the request id of this answer to your operator.",
    503: "The service's database does not answer at the moment. Try again.",
}
NOVA_KEYS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def _nova(status: int, message: str, kind: str) -> dict[str, Any]:
    del kind
    return {NOVA_KEYS.get(status, "computeFault"): {"code": status, "message": message}}


def _keystone(status: int, message: str, kind: str) -> dict[str, Any]:
    del kind
    return {"error": {"code": status, "message": message, "title": _title(status)}}


def _neutron(status: int, message: str, kind: str) -> dict[str, Any]:
    del status
    return {"NeutronError": {"type": kind, "message": message, "detail": ""}}


def _glance(status: int, message: str, kind: str) -> dict[str, Any]:
    del kind
    return {"code": f"{status} {_title(status)}", "title": _title(status), "message": message}


def _placement(status: int, message: str, kind: str) -> dict[str, Any]:
    del kind
    return {
        "errors": [
            {
                "status": status,
                "title": _title(status),
                "detail": message,
                "code": "placement.undefined_code",
                "request_id": requestid.current(),
            }
        ]
    }


FORMS: dict[FaultForm, Callable[[int, str, str], dict[str, Any]]] = {
    "nova": _nova,
    "keystone": _keystone,
    "neutron": _neutron,
    "glance": _glance,
    "placement": _placement,
}


def exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponseBase:
    """Return the answer to an error in a view; DRF calls it for every exception."""
    request: HttpRequest = context["request"]._request
    status = status_of(error)
    if status == 500 or is_outage(error):
        log.error("request.failed", exc_info=error)
    if status == 500:
        got_request_exception.send(sender=exception_handler, request=request)
    service: Service = getattr(context["view"], "service", None) or by_path(request.path) or COMPUTE
    response = fault(request, service, status, message_of(error, status), type(error).__name__)
    if isinstance(error, errors.InvalidInput):
        response.fields = error.fields  # type: ignore[attr-defined]  # for pages, which ask in this process
    if isinstance(error, errors.TooManyRequests):
        response["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, exceptions.MethodNotAllowed):
        response["Allow"] = ", ".join(context["view"].allowed_methods)
    return response


def status_of(error: Exception) -> int:
    """Return the HTTP status of an error; 500 for what nobody foresaw."""
    for family in type(error).__mro__:
        if family in STATUSES:
            return STATUSES[family]
    if is_outage(error):
        return 503
    return error.status_code if isinstance(error, exceptions.APIException) else 500


def message_of(error: Exception, status: int) -> str:
    """Return what the caller may read about an error."""
    if isinstance(error, errors.CloudError) and status != 500:
        return error.message
    if isinstance(error, exceptions.ValidationError):
        return describe(error.detail)
    return MESSAGES.get(status, f"{_title(status)}.")


def fault(request: HttpRequest, service: Service, status: int, message: str, kind: str = "") -> HttpResponse:
    """Return a fault in the service's form, with the headers that its status asks for."""
    form = FORMS["keystone" if status == 401 else service.faults]
    body = form(status, message, kind or _title(status).replace(" ", ""))
    response = HttpResponse(renderers.render(body), status=status, content_type="application/json")
    if status == 401:
        response["WWW-Authenticate"] = f'Keystone uri="{links.service_url(request, IDENTITY)}"'
    if status == 503:
        response["Retry-After"] = "1"
    return response


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Return the answer for an address that no route matches."""
    del exception
    return _outside(request, 404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Return the answer for a request that Django refused, e.g. for its Host header."""
    del exception
    return _outside(request, 400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Return the answer for a page that the caller may not see."""
    del exception
    return _outside(request, 403)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Return the answer for an error outside any API view."""
    log.error("request.failed", exc_info=True)
    return _outside(request, 500)


def _outside(request: HttpRequest, status: int) -> HttpResponseBase:
    service = by_path(request.path)
    if service is None:
        return HttpResponse(f"{status} {MESSAGES[status]}\n", status=status, content_type="text/plain")
    response = fault(request, service, status, MESSAGES[status])
    versions.echo(service, service.min, response)
    return response


def _title(status: int) -> str:
    return HTTPStatus(status).phrase
