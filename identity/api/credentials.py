"""/users/{id}/application_credentials and /users/{id}/access_rules."""

from typing import cast

from rest_framework.request import Request
from rest_framework.response import Response

from computecloud.wire.errors import InvalidInput
from identity import policy, selectors
from identity.api import presentation
from identity.api.base import IdentityView
from identity.api.serializers import CredentialBody, ListQuery
from identity.models import AccessRule, ApplicationCredential
from identity.services import credentials
from identity.services.credentials import CredentialValues


class _OfUser(IdentityView):
    """What belongs to a user: read by the user and who may read everything, written by the user alone."""

    def require_own(self, user_id: str, *, but: bool = False) -> None:
        """Raise NotAllowed (403) unless the user itself asks, or `but` holds."""
        if user_id != self.caller.user_id and not but:
            raise policy.NotAllowed(
                "You are not authorized to perform the requested action: it is for the user itself."
            )

    def require_readable(self, user_id: str) -> None:
        """Raise NotAllowed (403) unless the caller may see what belongs to the user; NotFound for no user."""
        self.require_own(user_id, but=policy.reads_everything(self.caller))
        selectors.visible_user(self.caller, user_id)


class Credentials(_OfUser):
    """A user's application credentials."""

    def get(self, request: Request, user_id: str) -> Response:
        """List them by filters; never with a secret."""
        self.require_readable(user_id)
        page = self.page(self.query(ListQuery))
        found = selectors.credentials_of(user_id).filter(**self.filters("name"))
        rows = selectors.page(found, marker=page.marker, limit=page.limit)
        url = page.next_url(request._request, [row.id for row in rows])
        path = f"users/{user_id}/application_credentials"
        items = [self.linked(presentation.credential(row), path) for row in rows]
        ends = {"self": f"{self.roots[0]}/{path}", "previous": None, "next": url}
        return self.answer({"application_credentials": items, "links": ends})

    def post(self, request: Request, user_id: str) -> Response:
        """Make one; its secret is in this answer alone."""
        self.require_own(user_id)
        values = self.body(CredentialBody, key="application_credential")
        if values.pop("project_id", None) not in (None, self.caller.project_id):
            raise InvalidInput("An application credential is for the project that your token is scoped to.")
        values["description"] = values.get("description") or ""
        row, secret = credentials.create(cast(CredentialValues, values), caller=self.caller)
        shown = presentation.credential(row, secret)
        path = f"users/{user_id}/application_credentials"
        return self.answer({"application_credential": self.linked(shown, path)}, 201)


class OneCredential(_OfUser):
    """One application credential."""

    def get(self, request: Request, user_id: str, credential_id: str) -> Response:
        """Show it."""
        self.require_readable(user_id)
        shown = presentation.credential(selectors.credential(user_id, credential_id))
        path = f"users/{user_id}/application_credentials"
        return self.answer({"application_credential": self.linked(shown, path)})

    def delete(self, request: Request, user_id: str, credential_id: str) -> Response:
        """Delete it and void its tokens."""
        self.require_own(user_id, but=self.caller.is_admin)
        row: ApplicationCredential = selectors.credential(user_id, credential_id)
        credentials.delete(row, caller=self.caller)
        return self.answer(status=204)


class AccessRules(_OfUser):
    """The access rules of a user's application credentials."""

    def get(self, request: Request, user_id: str) -> Response:
        """List them."""
        self.require_readable(user_id)
        rows = AccessRule.objects.filter(user_id=user_id).order_by("pk")
        path = f"users/{user_id}/access_rules"
        items = [self.linked(presentation.access_rule(row), path) for row in rows]
        ends = {"self": f"{self.roots[0]}/{path}", "previous": None, "next": None}
        return self.answer({"access_rules": items, "links": ends})


class OneAccessRule(_OfUser):
    """One access rule."""

    def get(self, request: Request, user_id: str, rule_id: str) -> Response:
        """Show it."""
        self.require_readable(user_id)
        shown = presentation.access_rule(self._found(user_id, rule_id))
        return self.answer({"access_rule": self.linked(shown, f"users/{user_id}/access_rules")})

    def delete(self, request: Request, user_id: str, rule_id: str) -> Response:
        """Delete one that no credential has."""
        self.require_own(user_id, but=self.caller.is_admin)
        credentials.delete_rule(self._found(user_id, rule_id), caller=self.caller)
        return self.answer(status=204)

    def _found(self, user_id: str, rule_id: str) -> AccessRule:
        found = AccessRule.objects.filter(user_id=user_id, pk=rule_id).first()
        if found is None:
            raise selectors.missing(AccessRule, rule_id)
        return found
