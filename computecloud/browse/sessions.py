"""A browser's session holds one token of its user, scoped to the project that was chosen; no page knows more of it.

The token ends as every token does: by its time, by a revocation, by the user's log-out. Failed log-ins count as all
others do, for it is the Identity API that checks the password.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any
from urllib.parse import quote, urlsplit

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.middleware.csrf import rotate_token
from django.utils.http import url_has_allowed_host_and_scheme

from computecloud.browse import show
from computecloud.browse.calls import Answer, Api, Refused
from computecloud.config import CONFIG
from computecloud.wire.errors import Unauthenticated
from identity import tokens

TOKEN = "tenant_token"  # noqa: S105  the key in the session, not a secret
HOME, LOG_IN, PROJECTS = "/browse/", "/browse/login", "/browse/projects"
_TOKENS = "/identity/v3/auth/tokens"
View = Callable[..., HttpResponseBase]


def of(request: HttpRequest) -> Api:
    """Return the APIs for who has logged in; raises Unauthenticated."""
    token = request.session.get(TOKEN, "")
    if not token:
        raise Unauthenticated("Log in.")
    caller = tokens.check(token)
    request.caller = caller  # type: ignore[attr-defined]  # for the log line
    return Api(request, token, caller)


def page(view: View) -> View:
    """Give a view the session's APIs; who has not logged in, or chosen a project, is sent to do so."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            api = of(request)
            if api.caller is not None and api.caller.project_id is None and request.path != PROJECTS:
                return _sent(request, PROJECTS)
            return view(api, *args, **kwargs)
        except Unauthenticated:
            request.session.pop(TOKEN, None)
            return _sent(request, LOG_IN)
        except Refused as refusal:
            return show.refused(request, refusal.answer.status, refusal.answer.message)

    return answer


def begin(request: HttpRequest, *, name: str, domain: str, password: str) -> Answer:
    """Log in by name and password; where the API agrees the session is a new one with the token in it."""
    user = {"name": name, "domain": {"name": domain}, "password": password}
    identity = {"methods": ["password"], "password": {"user": user}}
    answer = Api(request).ask("POST", _TOKENS, {"auth": {"identity": identity}})
    if answer.is_ok:
        request.session.cycle_key()  # or who knows an older key would be logged in too
        rotate_token(request)
        _keep(request, answer)
    return answer


def choose(api: Api, project_id: str) -> Answer:
    """Have the session speak for another project where the user has a role; the token before is void then."""
    scope = {"project": {"id": project_id}}
    identity = {"methods": ["token"], "token": {"id": api.token}}
    answer = Api(api.request).ask("POST", _TOKENS, {"auth": {"identity": identity, "scope": scope}})
    if answer.is_ok:
        _void(api)
        _keep(api.request, answer)
    return answer


def end(request: HttpRequest) -> None:
    """Log out: the token is void, the session is gone."""
    with suppress(Unauthenticated):
        _void(of(request))
    request.session.flush()


def safe(address: str) -> str:
    """Return an address to go on to: of this site, else the first page."""
    if not address.startswith("/") or not url_has_allowed_host_and_scheme(address, allowed_hosts=None):
        return HOME
    return address


def _keep(request: HttpRequest, answer: Answer) -> None:
    request.session[TOKEN] = answer.headers["X-Subject-Token"]
    request.session.set_expiry(CONFIG.token_lifetime_s)


def _void(api: Api) -> None:
    api.ask("DELETE", _TOKENS, HTTP_X_SUBJECT_TOKEN=api.token)


def _sent(request: HttpRequest, address: str) -> HttpResponse:
    """Send a browser elsewhere, and back to what it asked for afterwards."""
    wanted = request.get_full_path() if request.method == "GET" else urlsplit(request.path).path
    back = wanted if request.method == "GET" and "/events" not in wanted else HOME
    return HttpResponseRedirect(f"{address}?next={quote(back, safe='')}")
