"""How a request says who is asking: DRF's authentication by X-Auth-Token."""

from typing import Any

from django.http import HttpRequest

from computecloud.wire import links
from computecloud.wire.caller import Caller
from computecloud.wire.errors import Unauthenticated
from computecloud.wire.services import IDENTITY
from identity import tokens


class TokenAuthentication:
    """Checks the signed token; needs no table look-up."""

    def authenticate(self, request: Any) -> tuple[Caller, str]:
        """Return the caller and the token; raises Unauthenticated (401)."""
        token = request.META.get("HTTP_X_AUTH_TOKEN", "")
        if not token:
            raise Unauthenticated("The request you have made requires authentication.")
        return tokens.check(token), token

    def authenticate_header(self, request: HttpRequest) -> str:
        """Return where to get a token."""
        return f'Keystone uri="{links.service_url(request, IDENTITY)}"'
