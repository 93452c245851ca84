"""How a request says who is asking: DRF's authentication by X-Auth-Token."""

from typing import Any

from django.http import HttpRequest

from computecloud.wire import links
from computecloud.wire.caller import Caller
from computecloud.wire.errors import Unauthenticated
from computecloud.wire.services import IDENTITY, by_path
from identity import tokens


class TokenAuthentication:
    """Checks the signed token; needs no table look-up."""

    def authenticate(self, request: Any) -> tuple[Caller, str]:
        """Return the caller and the token; raises Unauthenticated (401), also for what an access rule leaves out."""
        token = request.META.get("HTTP_X_AUTH_TOKEN", "")
        if not token:
            raise Unauthenticated("The request you have made requires authentication.")
        caller = tokens.check(token)
        if caller.credential is not None and caller.credential.rules is not None:
            _require_rule(caller.credential.rules, request.method, request.path)
        return caller, token

    def authenticate_header(self, request: HttpRequest) -> str:
        """Return where to get a token."""
        return f'Keystone uri="{links.service_url(request, IDENTITY)}"'


def _require_rule(rules: tuple[tuple[str, str, str], ...], method: str, path: str) -> None:
    """Raise Unauthenticated unless one of the rules takes the request, as Keystone's middleware answers."""
    service = by_path(path)
    if service is not None:
        below = path.removeprefix(f"/{service.prefix}")
        for kind, allowed, pattern in rules:
            if kind == service.type and allowed == method and _takes(pattern.split("/"), below.split("/")):
                return
    raise Unauthenticated("The access rules of the application credential do not take this request.")


def _takes(pattern: list[str], path: list[str]) -> bool:
    """Tell whether the segments of a rule take those of a path: `*` and `{name}` one, `**` any number."""
    ends = {0}  # where in the path the part of the pattern so far may end
    for part in pattern:
        if part == "**":
            ends = set(range(min(ends), len(path) + 1))
        else:
            wild = part == "*" or part.startswith("{")
            ends = {end + 1 for end in ends if end < len(path) and (wild or part == path[end])}
        if not ends:
            return False
    return len(path) in ends
