"""The web server's entry: clients that are slow, or stop half-way, hold up nobody and are not taken at their word."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse

from computecloud import rsgi
from computecloud.rsgi import Application, Environ, File


@dataclass
class Scope:
    """What granian says of a request."""

    method: str = "POST"
    path: str = "/x"
    query_string: str = ""
    server: str = "127.0.0.1:80"
    client: str = "192.0.2.1:1234"
    scheme: str = "http"
    http_version: str = "1.1"
    headers: dict[str, str] = field(default_factory=lambda: {"transfer-encoding": "chunked"})


class Client:
    """A client's side of a request: its pieces, then the end or a break, as granian tells of both."""

    def __init__(self, *pieces: bytes, breaks: bool = False, stalls: bool = False) -> None:
        self._pieces, self._breaks, self._stalls = pieces, breaks, stalls
        self.answer: tuple[int, Any] = (0, b"")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._stalls:
            await asyncio.Event().wait()
        yield b""
        if self._breaks:
            yield b""

    def response_bytes(self, status: int, _headers: object, body: bytes) -> None:
        self.answer = (status, body)

    def response_file(self, status: int, _headers: object, path: str) -> None:
        self.answer = (status, Path(path))


def echo(environ: Environ, start_response: Callable[..., None]) -> HttpResponse:
    """Answer with the request's body, or with how reading it failed."""
    start_response("200 OK", [])
    try:
        return HttpResponse(environ["wsgi.input"].read())
    except OSError as error:
        return HttpResponse(f"refused: {error}")


def serve(application: Application, client: Client, scope: Scope | None = None) -> tuple[int, Any]:
    asyncio.run(application.__rsgi__(scope or Scope(), client))  # type: ignore[arg-type]
    return client.answer


LARGE = b"x" * (rsgi.KEPT_BYTES - 1)


@pytest.mark.parametrize("pieces", [(), (b"ab", b"c"), (LARGE, b"yz", b"end")])
def test_a_body_arrives_as_it_was_sent(pieces: tuple[bytes, ...]):
    assert serve(Application(echo, threads=1), Client(*pieces)) == (200, b"".join(pieces))


@pytest.mark.parametrize("pieces", [(), (b"ab",), (LARGE, b"yz", b"more")])
def test_a_body_that_breaks_off_is_not_taken_for_a_whole_one(pieces: tuple[bytes, ...]):
    assert serve(Application(echo, threads=1), Client(*pieces, breaks=True))[1].startswith(
        b"refused: it broke off"
    )


@pytest.mark.parametrize("pieces", [(), (b"ab",), (LARGE, b"yz", b"more")])
def test_a_client_that_falls_silent_is_given_up(pieces: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rsgi, "SILENCE_S", 0.1)
    assert serve(Application(echo, threads=1), Client(*pieces, stalls=True))[1].startswith(b"refused")


def test_silent_clients_hold_up_nobody_even_where_one_thread_answers_all(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rsgi, "SILENCE_S", 1.0)
    application = Application(echo, threads=1)
    large = Scope(headers={"content-length": str(1 << 30)})

    async def crowd() -> Client:
        waiting = [
            asyncio.create_task(application.__rsgi__(scope, Client(b"a", stalls=True)))  # type: ignore[arg-type]
            for scope in (*[Scope()] * 50, *[large] * (rsgi.STREAMS - 1))
        ]
        await asyncio.sleep(0.1)
        quick = Client(b"quick")
        await asyncio.wait_for(application.__rsgi__(Scope(), quick), 5)  # type: ignore[arg-type]
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        return quick

    assert asyncio.run(crowd()).answer == (200, b"quick")


def test_a_large_body_is_read_while_it_comes():
    began = threading.Event()

    class Slow(Client):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield LARGE + b"more"
            while not began.is_set():
                await asyncio.sleep(0.01)
            yield b"end"
            yield b""

    def read(environ: Environ, start_response: Callable[..., None]) -> HttpResponse:
        first = environ["wsgi.input"].read(10)
        began.set()
        start_response("200 OK", [])
        return HttpResponse(first + environ["wsgi.input"].read()[-3:])

    assert serve(Application(read, threads=1), Slow()) == (200, b"xxxxxxxxxxend")


def test_a_file_is_sent_by_its_path_and_closed(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("rb") as opened:

        def send(environ: Environ, start_response: Callable[..., None]) -> File:
            start_response("200 OK", [])
            made: File = environ["wsgi.file_wrapper"](opened, 1 << 20)
            return made

        assert serve(Application(send, threads=1), Client()) == (200, path)
        assert opened.closed


def test_a_request_is_told_as_wsgi_has_it():
    headers = {"x-auth-token": "t", "x_auth_token": "forged", "content-type": "a/b", "content-length": "3"}
    environ = rsgi.environ_of(Scope(path="/ü", query_string="a=b", headers=headers))  # type: ignore[arg-type]
    wanted = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/ü".encode().decode("latin-1"),
        "QUERY_STRING": "a=b",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "192.0.2.1",
        "HTTP_X_AUTH_TOKEN": "t",
        "CONTENT_TYPE": "a/b",
        "CONTENT_LENGTH": "3",
    }
    assert {key: environ[key] for key in wanted} == wanted


class Headers(dict[str, str]):
    """As granian has them: one whose value is not ASCII is among the names, and not among the items."""

    def items(self):  # type: ignore[override]
        return [(name, value) for name, value in super().items() if value.isascii()]


def test_a_header_that_is_not_ascii_is_there_and_equals_nothing():
    headers = Headers({"idempotency-key": "clé", "idempotency_key": "clé", "x-auth-token": "t"})
    environ = rsgi.environ_of(Scope(headers=headers))  # type: ignore[arg-type]
    assert (environ["HTTP_IDEMPOTENCY_KEY"], environ["HTTP_X_AUTH_TOKEN"]) == (rsgi.UNREADABLE, "t")
