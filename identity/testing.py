"""For the tests of every room: callers, their tokens, and a client that speaks JSON."""

import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.test import Client

from computecloud.wire.caller import Caller
from computecloud.wire.services import COMPUTE, Service
from identity import policy, revocation, tokens
from identity.tokens import Grant


def caller(*roles: str, **overrides: Any) -> Caller:
    """Return somebody of a project of their own; the role `member` unless others are given. Needs no rows."""
    given = roles or (policy.MEMBER,)
    expanded = policy.expand(given)
    now = datetime.now(UTC)
    one = Caller(
        user_id=uuid.uuid4().hex,
        user_name="somebody",
        project_id=uuid.uuid4().hex,
        project_name="somewhere",
        roles=expanded,
        is_admin=policy.ADMIN in expanded,
        audit_id=uuid.uuid4().hex[:22],
        issued_at=now,
        expires_at=now + timedelta(hours=1),
    )
    return replace(one, **overrides)


def token_for(who: Caller) -> str:
    """Return a signed token that says who; needs no rows."""
    return tokens.issue(
        Grant(
            user_id=who.user_id,
            user_name=who.user_name,
            user_domain_id=who.user_domain_id,
            roles=tuple(who.roles),
            project_id=who.project_id,
            project_name=who.project_name,
            project_domain_id=who.domain_id if who.project_id else None,
            scope_domain_id=who.scope_domain_id,
            is_system=who.is_system,
            methods=who.methods,
            credential=who.credential,
        ),
        at=time.time(),
    )


class Api:
    """A client of one service for one caller (or a raw token, or nobody).

    `version` asks for a microversion; errors on the server are raised unless `raise_errors` is False.
    """

    def __init__(
        self,
        who: Caller | str | None,
        service: Service = COMPUTE,
        *,
        version: str = "",
        raise_errors: bool = True,
    ) -> None:
        self.client = Client(raise_request_exception=raise_errors)
        self.root = f"/{service.prefix}/{service.root}".rstrip("/")
        token = token_for(who) if isinstance(who, Caller) else who
        self.headers: dict[str, str] = {"X-Auth-Token": token} if token else {}
        if version:
            self.headers["OpenStack-API-Version"] = f"{service.type} {version}"

    def get(self, path: str, **headers: str) -> Any:
        """GET a path below the service's version root, e.g. `/servers?limit=1`."""
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        """POST a JSON body."""
        return self.send("POST", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Any:
        """PUT a JSON body."""
        return self.send("PUT", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        """PATCH with a JSON body."""
        return self.send("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        """DELETE a path."""
        return self.send("DELETE", path, **headers)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request; bytes are sent as they are, anything else but None as JSON; `_` in a header is `-`."""
        revocation.assume_current()
        data = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        content_type = given.pop("Content-Type", "application/json")
        return self.client.generic(
            method, self.root + path, data, content_type=content_type, headers={**self.headers, **given}
        )
