"""The operations API in a browser: for operators who are logged in to the admin pages."""

import json
from collections.abc import Mapping
from typing import Any

from rest_framework.authentication import SessionAuthentication
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer
from rest_framework.request import Request

from computecloud.wire.caller import Caller
from identity import policy
from workers.models import utc_now


class Page(BrowsableAPIRenderer):
    """DRF's page, without what belongs to log-ins of its own."""

    template = "workers/operations.html"

    def get_content(
        self,
        renderer: BaseRenderer,
        data: Any,
        accepted_media_type: str | None,
        renderer_context: Mapping[str, Any],
    ) -> str:
        """Return the answer's JSON for people."""
        del renderer, accepted_media_type, renderer_context
        return json.dumps(data, indent=2)

    def get_context(
        self, data: Any, accepted_media_type: str | None, renderer_context: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return what the template shows; other formats are for other clients."""
        found = super().get_context(data, accepted_media_type, renderer_context)
        return found | {"available_formats": [], "raw_data_post_form": None, "display_edit_forms": False}


class OperatorAuthentication(SessionAuthentication):
    """Whoever may do everything in the admin pages is an admin here; others need a token."""

    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        """Return the operator behind the session; None where there is none."""
        found: Any = super().authenticate(request)  # checks the CSRF token too
        if found is None or not found[0].is_superuser:
            return None
        user, now = found[0], utc_now()
        caller = Caller(
            user_id=str(user.pk),
            user_name=user.get_username(),
            roles=policy.expand([policy.ADMIN]),
            is_admin=True,
            issued_at=now,
            expires_at=now,
        )
        return caller, None


def is_asked_for(accept: str) -> bool:
    """Tell whether a browser asks, by its Accept header."""
    return "text/html" in accept
