"""The Network API as one caller meets it."""

import json
from typing import Any

from django.test import Client

from computecloud.wire.caller import Caller
from identity import policy, tokens


class Api:
    """Calls with a token of the caller's; paths are below /network/v2.0/."""

    def __init__(self, caller: Caller) -> None:
        grant = tokens.Grant(
            user_id=caller.user_id,
            user_name=caller.user_name,
            user_domain_id="default",
            roles=tuple(policy.expand(caller.roles)),
            project_id=caller.project_id,
        )
        self._client = Client(headers={"X-Auth-Token": tokens.issue(grant)})

    def call(self, method: str, path: str, body: Any = None, expect: int = 200, **query: Any) -> Any:
        """Return the decoded answer; its status must be the expected one."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body)
        answer = self._client.generic(
            method, f"/network/v2.0/{path}", data, content_type="application/json", query_params=query or None
        )
        assert answer.status_code == expect, (answer.status_code, answer.content)
        assert answer.headers["X-Openstack-Request-Id"].startswith("req-")
        return json.loads(answer.content) if answer.content else None

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, **query)

    def make(self, singular: str, **fields: Any) -> dict[str, Any]:
        """Make a thing; returns its document."""
        made: dict[str, Any] = self.call("POST", f"{singular}s", {singular: fields}, 201)[singular]
        return made

    def change(self, singular: str, thing_id: str, **fields: Any) -> dict[str, Any]:
        """Change a thing; returns its document."""
        changed: dict[str, Any] = self.call("PUT", f"{singular}s/{thing_id}", {singular: fields})[singular]
        return changed

    def refused(self, method: str, path: str, body: Any, status: int) -> dict[str, str]:
        """Return the fault of a call that is refused with this status."""
        fault: dict[str, str] = self.call(method, path, body, status)["NeutronError"]
        assert fault.keys() == {"type", "message", "detail"}
        assert fault["message"]
        return fault
