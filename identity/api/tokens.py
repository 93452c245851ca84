"""/auth: tokens, and what their holder may reach."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from computecloud.wire import links
from computecloud.wire.caller import Caller
from computecloud.wire.errors import InvalidInput, NotFound, Unauthenticated
from identity import catalog, policy, selectors, tokens
from identity.api import presentation
from identity.api.base import IdentityView
from identity.api.serializers import AuthBody, TokenQuery
from identity.services import credentials, login
from identity.services.login import Login, LoginRefused, Scope, Who

METHODS = ("password", "token", "application_credential")


class Tokens(IdentityView):
    """POST makes a token; GET, HEAD and DELETE concern the one in X-Subject-Token."""

    public_methods = ("POST",)

    def post(self, request: Request) -> Response:
        """Answer 201 with the token in X-Subject-Token."""
        auth = self.body(AuthBody, key="auth")
        proved = _prove(auth["identity"], source=request.META.get("REMOTE_ADDR", ""))
        token = login.issue(proved, _scope(auth.get("scope")))
        subject = tokens.check(token)
        self.take_key(subject)
        return self._shown(subject, token, 201)

    def get(self, request: Request) -> Response:
        """Answer what the token says."""
        subject, token = self._subject()
        if subject.user_id != self.caller.user_id and policy.SERVICE not in self.caller.roles:
            self.require_reader_of_all()
        return self._shown(subject, token, 200)

    def delete(self, request: Request) -> Response:
        """Make the token void."""
        subject, _ = self._subject()
        if subject.user_id != self.caller.user_id:
            self.require_admin()
        login.revoke(subject)
        return self.answer(status=204)

    def _subject(self) -> tuple[Caller, str]:
        token = self.request.META.get("HTTP_X_SUBJECT_TOKEN", "")
        if not token:
            raise InvalidInput("The header X-Subject-Token is missing.")
        try:
            return tokens.check(token), token
        except Unauthenticated:
            raise NotFound("Could not find token.") from None

    def _shown(self, subject: Caller, token: str, status: int) -> Response:
        plain = "nocatalog" in self.query(TokenQuery)
        body = presentation.token(subject, base=None if plain else links.base(self.request._request))
        return self.answer({"token": body}, status, {"X-Subject-Token": token, "Vary": "X-Auth-Token"})


class OwnProjects(IdentityView):
    """Where the caller has a role."""

    def get(self, request: Request) -> Response:
        """List the projects."""
        rows = selectors.projects_of(self.caller.user_id)
        return self.collection("projects", [presentation.project(row) for row in rows], path="auth/projects")


class OwnDomains(IdentityView):
    """Where the caller has a role."""

    def get(self, request: Request) -> Response:
        """List the domains."""
        rows = selectors.domains_of(self.caller.user_id)
        return self.collection("domains", [presentation.domain(row) for row in rows], path="auth/domains")


class OwnSystem(IdentityView):
    """The system, for who has a role in it."""

    def get(self, request: Request) -> Response:
        """List it, or nothing."""
        found = selectors.role_names(user_id=self.caller.user_id, system=True)
        ends = {"self": f"{self.roots[0]}/auth/system", "previous": None, "next": None}
        return self.answer({"system": [{"all": True}] if found else [], "links": ends})


class OwnCatalog(IdentityView):
    """The catalog of the caller's token."""

    def get(self, request: Request) -> Response:
        """Show the catalog."""
        entries = catalog.catalog(links.base(self.request._request))
        return self.answer({"catalog": entries, "links": {"self": f"{self.roots[0]}/auth/catalog"}})


def _prove(identity: dict[str, Any], *, source: str) -> Login:
    methods = identity["methods"]
    if len(methods) != 1 or methods[0] not in METHODS:
        raise LoginRefused(f"Log in by one of the methods {', '.join(METHODS)}.")
    method = methods[0]
    if method not in identity:
        raise InvalidInput(
            f"Invalid input for field/attribute auth.identity. '{method}' is a required property."
        )
    given = identity[method]
    if method == "token":
        return login.by_token(given["id"])
    if method == "application_credential":
        return credentials.prove(
            credential_id=given.get("id", ""),
            name=given.get("name", ""),
            user=_who(given["user"]) if "user" in given else None,
            secret=given["secret"],
            source=source,
        )
    return login.by_password(_who(given["user"]), given["user"]["password"], source=source)


def _scope(scope: dict[str, Any] | None) -> Scope:
    if scope is None:
        return Scope()
    return Scope(
        project=_who(scope["project"]) if "project" in scope else None,
        domain=_who(scope["domain"]) if "domain" in scope else None,
        system="system" in scope,
        unscoped="unscoped" in scope,
    )


def _who(ref: dict[str, Any]) -> Who:
    domain = ref.get("domain", {})
    return Who(
        id=ref.get("id", ""),
        name=ref.get("name", ""),
        domain_id=domain.get("id", ""),
        domain_name=domain.get("name", ""),
    )
