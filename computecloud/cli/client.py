"""A small client of the APIs, as a tenant's tool would use them; nothing here knows the code behind."""

import http
import http.client
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

from computecloud.cli.failures import Failure

TIMEOUT_S = 60.0
KEPT_S = 10.0  # a connection that was idle for longer is made anew: servers close theirs after 30 s
COMPUTE_VERSION = "compute 2.96"


class Refused(Failure):
    """The API answered with an error; `status` is its HTTP status."""

    def __init__(self, status: int, words: str, *, asked: str, log: Path) -> None:
        super().__init__(
            f"{asked} was refused with {status}: {words}", advice="see the log, mend, run this again", log=log
        )
        self.status = status


@dataclass
class Client:
    """Speaks to one cloud as one user of one project; logs in when it is first asked, and when its token is void."""

    host: str
    port: int
    user: str
    password: str
    log: Path
    tls: ssl.SSLContext | None = None  # none: plain HTTP
    _token: str = ""
    _connection: http.client.HTTPConnection | None = None
    _used_at: float = 0.0

    def get(self, path: str) -> Any:
        """Return the answer's JSON; raises Refused, Failure."""
        return self._call("GET", path)

    def post(self, path: str, body: object) -> Any:
        """Send a body and return the answer's JSON; raises Refused, Failure."""
        return self._call("POST", path, body)

    def delete(self, path: str) -> None:
        """Delete what is there; raises Refused, Failure."""
        self._call("DELETE", path)

    def upload(self, path: str, file: Path) -> None:
        """Send a file as it is; raises Refused, Failure."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(file.stat().st_size)}
        with file.open("rb") as body:
            self._exchange("PUT", path, body, self._logged_in() | headers)

    def versions(self) -> Any:
        """Return the version document, which needs no log-in; raises OSError while nobody answers."""
        connection = self._connect(timeout_s=5)
        try:
            connection.request("GET", "/")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def _connect(self, *, timeout_s: float) -> http.client.HTTPConnection:
        if self.tls is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout_s, context=self.tls)

    def _call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        try:
            answer = self._send(method, path, data)
        except Refused as error:
            if error.status != http.HTTPStatus.UNAUTHORIZED:
                raise
            self._token = ""  # void by now: a clock was set back, a key rotated; OpenStack clients do so, too
            answer = self._send(method, path, data)
        return json.loads(answer) if answer else None

    def _send(self, method: str, path: str, data: bytes | None) -> bytes:
        answer, _ = self._exchange(
            method, path, data, {"Content-Type": "application/json"} | self._logged_in()
        )
        return answer

    def _logged_in(self) -> dict[str, str]:
        if not self._token:
            user = {"name": self.user, "password": self.password, "domain": {"name": "Default"}}
            scope = {"project": {"name": self.user, "domain": {"name": "Default"}}}
            body = {
                "auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}
            }
            try:
                _, headers = self._exchange(
                    "POST",
                    "/identity/v3/auth/tokens",
                    json.dumps(body).encode(),
                    {"Content-Type": "application/json"},
                )
            except Refused as error:
                raise Failure(
                    f"{self.user} could not log in ({error})",
                    log=self.log,
                    advice="put the user's password into passwords.txt, or start over: bin/down --purge; bin/up",
                ) from None
            self._token = headers["X-Subject-Token"]
        return {"X-Auth-Token": self._token, "OpenStack-API-Version": COMPUTE_VERSION}

    def _exchange(
        self, method: str, path: str, body: Any, headers: Mapping[str, str]
    ) -> tuple[bytes, HTTPMessage]:
        connection = self._connected()
        try:
            is_whole = _sent_whole(connection, method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            self._used_at = time.monotonic()
            if not is_whole:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Failure(
                f"the web server does not answer {method} {path} ({error})",
                log=self.log,
                advice="run bin/up again",
            ) from None
        if answer.status >= 400:
            raise Refused(answer.status, _words(content), asked=f"{method} {path}", log=self.log)
        return content, answer.headers

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is not None and time.monotonic() - self._used_at > KEPT_S:
            self._connection.close()
            self._connection = None
        if self._connection is None:
            self._connection = self._connect(timeout_s=TIMEOUT_S)
        return self._connection


def _sent_whole(
    connection: http.client.HTTPConnection, method: str, path: str, body: Any, headers: Mapping[str, str]
) -> bool:
    """Send a request; False where the server took no more of its body: the answer that says why is there."""
    try:
        connection.request(method, path, body, dict(headers))
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _words(content: bytes) -> str:
    """Return the message of a fault, whichever service's form it has."""
    try:
        fault = json.loads(content)
    except ValueError:
        return content[:200].decode(errors="replace")
    for inner in (fault, *(fault.values() if isinstance(fault, dict) else ())):
        if isinstance(inner, dict) and isinstance(inner.get("message"), str):
            return str(inner["message"])
    return str(fault)[:200]
