"""The command line's client: what it sends, and what it makes of refusals in each service's form."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from computecloud.cli.client import Client, Refused
from computecloud.cli.failures import Failure

ANSWERS: dict[str, tuple[int, Any]] = {
    "/identity/v3/auth/tokens": (201, {}),
    "/compute/v2.1/servers": (200, {"servers": []}),
    "/compute/v2.1/servers/x": (
        404,
        {"itemNotFound": {"code": 404, "message": "Instance x could not be found."}},
    ),
    "/network/v2.0/networks": (409, {"NeutronError": {"type": "InUse", "message": "in use", "detail": ""}}),
    "/image/v2/images": (503, "plain words"),
}


class Api(BaseHTTPRequestHandler):
    seen: list[tuple[str, str, dict[str, str], bytes]] = []
    callers: set[int] = set()  # the ports that its connections came from
    void: set[str] = set()  # tokens
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.callers.add(self.client_address[1])
        self.seen.append((self.command, self.path, dict(self.headers), body))
        status, answer = ANSWERS[self.path]
        if self.headers.get("X-Auth-Token") in self.void:
            status, answer = 401, {"error": {"code": 401, "message": "void"}}
        content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Subject-Token", "the-token")
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    Api.seen, Api.callers, Api.void = [], set(), set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Client("127.0.0.1", server.server_port, "demo", "secret", tmp_path / "web.log")
    server.shutdown()
    server.server_close()


def test_it_logs_in_once_and_then_sends_the_token(client: Client) -> None:
    assert client.get("/compute/v2.1/servers") == {"servers": []}
    client.get("/compute/v2.1/servers")
    assert [path for _, path, _, _ in Api.seen].count("/identity/v3/auth/tokens") == 1
    log_in = json.loads(Api.seen[0][3])["auth"]
    assert log_in["identity"]["password"]["user"]["password"] == "secret"
    assert log_in["scope"]["project"]["name"] == "demo"
    assert Api.seen[-1][2]["X-Auth-Token"] == "the-token"


def test_it_logs_in_again_where_its_token_is_void(client: Client) -> None:
    client._token = "old"
    Api.void = {"old"}
    assert client.get("/compute/v2.1/servers") == {"servers": []}
    asked = [path for _, path, _, _ in Api.seen]
    assert asked == ["/compute/v2.1/servers", "/identity/v3/auth/tokens", "/compute/v2.1/servers"]


def test_who_is_refused_with_a_new_token_is_told(client: Client) -> None:
    Api.void = {"the-token"}
    with pytest.raises(Refused, match="401: void"):
        client.get("/compute/v2.1/servers")
    assert len(Api.seen) == 4


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/compute/v2.1/servers/x", "404: Instance x could not be found."),
        ("/network/v2.0/networks", "409: in use"),
        ("/image/v2/images", "503: plain words"),
    ],
)
def test_a_refusal_is_told_in_the_services_words(client: Client, path: str, words: str) -> None:
    with pytest.raises(Refused, match="was refused with") as caught:
        client.get(path)
    assert words in caught.value.message
    assert f"{caught.value.status}:" in words


def test_a_file_is_sent_as_it_is(client: Client, tmp_path: Path) -> None:
    ANSWERS["/image/v2/images/i/file"] = (204, "")
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) * 1000)
    client.upload("/image/v2/images/i/file", file)
    assert Api.seen[-1][3] == file.read_bytes()


def test_a_connection_that_was_idle_for_long_is_made_anew(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get("/compute/v2.1/servers")
    client.get("/compute/v2.1/servers")
    assert len(Api.callers) == 1
    monkeypatch.setattr("computecloud.cli.client.KEPT_S", 0.0)
    client.get("/compute/v2.1/servers")
    assert len(Api.callers) == 2


def test_nobody_there_is_a_failure_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="the web server does not answer") as caught:
        Client("127.0.0.1", 1, "demo", "secret", tmp_path / "web.log").get("/compute/v2.1/servers")
    assert caught.value.advice == "run bin/up again"


def test_a_refusal_in_the_middle_of_an_upload_is_read(tmp_path: Path) -> None:
    image = tmp_path / "image.raw"
    with image.open("wb") as file:
        file.truncate(64 * 2**20)
    listening = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        connection, _ = listening.accept()
        with connection, connection.makefile("rb") as asked:
            while asked.readline().strip():
                pass
            connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 7\r\n\r\nno room")

    server = threading.Thread(target=refuse, daemon=True)
    server.start()
    port = listening.getsockname()[1]
    client = Client("127.0.0.1", port, "demo", "secret", tmp_path / "web.log", _token="t")
    with listening, pytest.raises(Refused, match="413: no room"):
        client.upload("/image/v2/images/x/file", image)
    server.join()
