"""Log-in to the admin pages: a user of the default domain, held up after failures like any other log-in."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from computecloud.wire.errors import CloudError
from identity.models import DEFAULT_DOMAIN_ID, User
from identity.services import login
from identity.services.login import Who


class PageBackend(ModelBackend):
    """Django's permissions, with our own check of the password."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """Return the user, or None when the log-in is refused or held up."""
        del kwargs
        if request is None or not username or password is None:
            return None
        who = Who(name=username, domain_id=DEFAULT_DOMAIN_ID)
        try:
            return login.by_password(who, password, source=request.META.get("REMOTE_ADDR", "")).user
        except CloudError:
            return None
