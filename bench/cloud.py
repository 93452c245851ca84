"""A running cloud as a benchmark sees it: a way in over HTTP, and, where it is ours, its processes."""

import argparse
import json
import os
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

ROOT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let the user say which cloud is measured."""
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=Path(os.environ.get("COMPUTECLOUD_STATE_DIR", ROOT / "var")),
        help="state folder of a cloud that bin/up started",
    )


@dataclass(frozen=True)
class Login:
    """Who logs in, and where."""

    auth_url: str
    user: str
    password: str
    project: str

    @property
    def body(self) -> dict[str, Any]:
        """Return the request for a token."""
        user = {"name": self.user, "password": self.password, "domain": {"name": "Default"}}
        return {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"name": self.project, "domain": {"name": "Default"}}},
            }
        }


def login(state: Path, cloud: str = "computecloud-admin") -> Login:
    """Return the log-in of the environment (OS_AUTH_URL, OS_USERNAME, …), or one of clouds.yaml in `state`."""
    if "OS_AUTH_URL" in os.environ:
        names = ("OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD", "OS_PROJECT_NAME")
        return Login(*(os.environ[name] for name in names))
    try:
        known = json.loads((state / "clouds.yaml").read_text())
    except FileNotFoundError:
        raise SystemExit(f"There is no cloud in {state}. Start one: bin/up --driver fake") from None
    auth = known["clouds"][cloud]["auth"]
    return Login(auth["auth_url"], auth["username"], auth["password"], auth["project_name"])


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the decoded body; ends the program where the server refused."""
        if self.status >= 400:
            raise SystemExit(f"refused with {self.status}: {self.body[:300].decode(errors='replace')}")
        return json.loads(self.body)


@dataclass
class Connection:
    """One kept-alive HTTP/1.1 connection, used by one thread, with little work of its own."""

    host: str
    port: int
    headers: dict[str, str] = field(default_factory=dict)
    _socket: socket.socket | None = None
    _left: bytes = b""

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """Send a request and return its answer; a kept connection that the server has closed is opened again."""
        content = b"" if body is None else json.dumps(body).encode()
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self.host}:{self.port}",
            f"Content-Length: {len(content)}",
        ]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if content:
            lines.append("Content-Type: application/json")
        raw = "\r\n".join([*lines, "", ""]).encode() + content
        for last in (False, True):
            kept = self._socket is not None
            try:
                return self._exchange(raw)
            except ConnectionError:
                self.close()
                if last or not kept:
                    raise
        raise AssertionError

    def close(self) -> None:
        """Close it."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._left = None, b""

    def _exchange(self, raw: bytes) -> Answer:
        if self._socket is None:
            self._socket = socket.create_connection((self.host, self.port), timeout=120)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(raw)
        while b"\r\n\r\n" not in self._left:
            self._more()
        head, _, self._left = self._left.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        body = self._chunks() if "chunked" in headers.get("transfer-encoding", "") else self._take(headers)
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(int(first.split()[1]), headers, body)

    def _take(self, headers: dict[str, str]) -> bytes:
        length = int(headers.get("content-length", 0))
        while len(self._left) < length:
            self._more()
        body, self._left = self._left[:length], self._left[length:]
        return body

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        while True:
            while b"\r\n" not in self._left:
                self._more()
            size, _, self._left = self._left.partition(b"\r\n")
            chunk = self._take({"content-length": str(int(size, 16) + 2)})
            if len(chunk) == 2:
                return b"".join(parts)
            parts.append(chunk[:-2])

    def _more(self) -> None:
        assert self._socket is not None
        received = self._socket.recv(1 << 18)
        if not received:
            raise ConnectionResetError("the server closed the connection")
        self._left += received


class Cloud:
    """A cloud that one is logged in to."""

    def __init__(self, who: Login, microversion: str = "2.90") -> None:
        self.who = who
        at = urlsplit(who.auth_url)
        self._identity = Connection(str(at.hostname), at.port or 80)
        self._tokens_path = f"{at.path.rstrip('/').removesuffix('/v3')}/v3/auth/tokens"
        answer = self.issue_token()
        self._catalog: list[dict[str, Any]] = answer.json()["token"]["catalog"]
        url = self._public_url("compute")
        self._host, self._port, self.path = str(url.hostname), url.port or 80, url.path.rstrip("/")
        self._headers = {
            "X-Auth-Token": answer.headers["x-subject-token"],
            "OpenStack-API-Version": f"compute {microversion}",
            "X-OpenStack-Nova-API-Version": microversion,
        }

    def issue_token(self) -> Answer:
        """Log in."""
        return self._identity.ask("POST", self._tokens_path, self.who.body)

    def _public_url(self, kind: str) -> SplitResult:
        service = next(one for one in self._catalog if one["type"] == kind)
        url: str = next(one["url"] for one in service["endpoints"] if one["interface"] == "public")
        return urlsplit(url)

    def connect(self) -> Connection:
        """Return a new connection to the Compute API, logged in."""
        return Connection(self._host, self._port, dict(self._headers))

    def image_id(self, name: str) -> str:
        """Return an image's id by its name."""
        token = {"X-Auth-Token": self._headers["X-Auth-Token"]}
        url = self._public_url("image")
        path = f"{url.path.rstrip('/').removesuffix('/v2')}/v2/images?name={name}"
        found = Connection(str(url.hostname), url.port or 80, token).ask("GET", path).json()["images"]
        if not found:
            raise SystemExit(f"There is no image called {name}; see --image.")
        return str(found[0]["id"])


@dataclass(frozen=True)
class Process:
    """A process of a cloud; the web server's own child counts as the web server."""

    name: str
    pid: int

    def cpu_s(self) -> float:
        """Return the CPU seconds it has taken."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mib(self, kind: str = "Pss") -> float:
        """Return its proportional (Pss) or resident (Rss) memory."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{kind}:"))


def processes(state: Path) -> list[Process]:
    """Return the processes of the cloud in `state`, the supervisor first; none where it is not ours to look at."""
    try:
        supervisor = int((state / "run" / "supervisord.pid").read_text())
    except FileNotFoundError:
        return []
    found = [Process("supervisor", supervisor)]
    for child in _children(supervisor):
        name = _name(child)
        found += [Process(name, pid) for pid in family(child)]
    return found


def cpu_by_name(state: Path) -> dict[str, float]:
    """Return the CPU seconds of each part of the cloud."""
    taken: dict[str, float] = {}
    for process in processes(state):
        taken[process.name] = taken.get(process.name, 0.0) + process.cpu_s()
    return taken


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # the thread has ended meanwhile
            found += map(int, (task / "children").read_text().split())
    return found


def family(pid: int) -> list[int]:
    """Return a process and all that it started."""
    return [pid, *(member for child in _children(pid) for member in family(child))]


def _name(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    known = {"granian": "web", "web": "web", "control": "control", "host": "host", "beat": "beat"}
    for word in words:
        if word in known:
            return known[word]
        if word.endswith(("redis-server", "libvirtd")):
            return word.rpartition("/")[2]
    return words[0].rpartition("/")[2]
