"""The web server's entry: one event loop receives requests and sends answers, a few threads run Django.

A thread has a request when it is whole and is free when its answer is made, so clients that are slow, or stop half-way,
cost memory and hold up nobody. Only a body too large to be kept, an image's bytes, is read as it comes, by threads that
are for such bodies alone.
"""

import asyncio
import io
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

from django.db import close_old_connections
from django.http import HttpResponseBase
from granian.rsgi import HTTPProtocol, ProtocolClosed, Scope  # type: ignore[attr-defined]

from computecloud import streams
from computecloud.streams import EventStream, Seats, TooManyStreams

KEPT_BYTES = 131_072  # more than any body but an image's bytes may have
SILENCE_S = 30.0  # a client that neither sends nor takes anything for so long is given up
STREAMS = 16
UNREADABLE = "\xff"  # stands for a value that is not ASCII: granian tells its name alone
BROKEN = f"it broke off, or nothing came for {SILENCE_S:.0f} s"

Environ = dict[str, Any]
Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class File:
    """An open file as an answer's body: what Django makes of a FileResponse (`wsgi.file_wrapper`)."""

    file: BinaryIO
    block_bytes: int


Wsgi = Callable[[Environ, Callable[..., Any]], HttpResponseBase | File]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose body is whole, in a file, or events that come one after another."""

    status: int
    headers: Headers
    body: bytes
    path: str = ""
    stream: EventStream | None = None


class Incoming:
    """A request's body on its way."""

    def __init__(self, protocol: HTTPProtocol) -> None:
        self._pieces = protocol.__aiter__()

    async def next(self) -> bytes:
        """Return the next piece, none at the end; raises OSError where it broke off or nothing comes."""
        async with asyncio.timeout(SILENCE_S):
            try:
                if piece := await self._pieces.__anext__():
                    return bytes(piece)
                await self._pieces.__anext__()
            except StopAsyncIteration:
                return b""
        raise ConnectionResetError(BROKEN)  # granian says so by an empty piece that is not the last one


class Body(io.RawIOBase):
    """A body as WSGI reads it: what has come, then what `more` returns or raises."""

    def __init__(self, kept: bytearray, more: Callable[[], bytes]) -> None:
        self._piece, self._more = memoryview(bytes(kept)), more

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as one piece does; returns 0 at the end, raises what `more` raises."""
        if not self._piece:
            self._piece = memoryview(self._more())
        count = min(len(buffer), len(self._piece))
        buffer[:count], self._piece = self._piece[:count], self._piece[count:]
        return count


class Application:
    """Serves a WSGI application to granian's RSGI."""

    def __init__(self, wsgi: Wsgi, *, threads: int) -> None:
        self._wsgi = wsgi
        self._answering = ThreadPoolExecutor(threads, "web")
        self._streaming = ThreadPoolExecutor(STREAMS, "stream")
        self._seats = Seats()

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Receive a request, have it answered, send the answer."""
        environ = environ_of(scope)
        threads = await self._receive(environ, protocol)
        answer = await asyncio.get_running_loop().run_in_executor(threads, self._answer, environ)
        if answer.stream is not None:
            await self._send_events(answer, answer.stream, protocol)
        elif answer.path:
            protocol.response_file(answer.status, answer.headers, answer.path)
        else:
            protocol.response_bytes(answer.status, answer.headers, answer.body)

    async def _send_events(self, answer: Answer, stream: EventStream, protocol: HTTPProtocol) -> None:
        """Ask a stream for its events until it ends, its time is over or the client has gone."""
        try:
            with self._seats.taken(stream.user_id):
                await self._ask_again(
                    stream, protocol, protocol.response_stream(answer.status, answer.headers)
                )
        except TooManyStreams as refusal:
            headers = [("content-type", "text/plain"), ("retry-after", str(refusal.retry_after_s))]
            protocol.response_bytes(429, headers, refusal.message.encode())
        except (ProtocolClosed, OSError):  # the client has gone, or takes nothing
            pass

    async def _ask_again(self, stream: EventStream, protocol: HTTPProtocol, to: Any) -> None:
        loop = asyncio.get_running_loop()
        began = spoke = loop.time()
        gone = asyncio.ensure_future(protocol.client_disconnect())
        try:
            await _sent(to, streams.BEGIN)
            while loop.time() < began + streams.LENGTH_S:
                piece = await loop.run_in_executor(self._answering, _polled, stream)
                if piece.events or loop.time() >= spoke + streams.HEARTBEAT_S:
                    await _sent(to, piece.events or streams.HEARTBEAT)
                    spoke = loop.time()
                if piece.ended or (await asyncio.wait([gone], timeout=streams.POLL_S))[0]:
                    return
        finally:
            gone.cancel()

    async def _receive(self, environ: Environ, protocol: HTTPProtocol) -> ThreadPoolExecutor:
        """Give a request its body, and return the threads that are to answer it."""
        if "CONTENT_LENGTH" not in environ and "HTTP_TRANSFER_ENCODING" not in environ:
            return self._answering
        incoming, kept = Incoming(protocol), bytearray()
        try:
            async with asyncio.timeout(SILENCE_S):
                while max(len(kept), int(environ.get("CONTENT_LENGTH", 0))) <= KEPT_BYTES:
                    if not (piece := await incoming.next()):
                        environ["wsgi.input"] = io.BytesIO(kept)
                        return self._answering
                    kept += piece
        except OSError:
            failed = partial(_raise, ConnectionResetError(BROKEN))
            environ["wsgi.input"] = io.BufferedReader(Body(kept, failed))
            return self._answering
        more = partial(_from_thread, asyncio.get_running_loop(), incoming)
        environ["wsgi.input"] = io.BufferedReader(Body(kept, more))
        return self._streaming

    def _answer(self, environ: Environ) -> Answer:
        head: list[Any] = []

        def start_response(status: str, headers: Headers, _error: object = None) -> None:
            head[:] = [int(status[:3]), headers]

        given = self._wsgi(environ, start_response)
        if isinstance(given, File):
            with given.file:
                return Answer(head[0], head[1], b"", given.file.name)
        if isinstance(given, EventStream):
            given.close()
            return Answer(head[0], head[1], b"", stream=given)
        try:
            return Answer(head[0], head[1], b"".join(given))
        finally:
            given.close()


def environ_of(scope: Scope) -> Environ:
    """Return a request without its body as WSGI has it."""
    server, _, port = scope.server.rpartition(":")
    environ: Environ = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": server,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": io.BytesIO(),
        "wsgi.file_wrapper": File,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope.headers.items():
        if "_" in name:  # it would pass for the same name with a dash
            continue
        key = _key(name)
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    for name in scope.headers.keys():  # noqa: SIM118 — no dict: it has names that items() leaves out
        if "_" not in name:
            environ.setdefault(_key(name), UNREADABLE)
    return environ


def _key(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def application(*, threads: int = 4) -> Application:
    """Return what granian serves, with Django loaded."""
    from computecloud.wsgi import application as wsgi

    return Application(wsgi, threads=threads)


async def _sent(to: Any, events: bytes) -> None:
    async with asyncio.timeout(SILENCE_S):
        await to.send_bytes(events)


def _polled(stream: EventStream) -> streams.Piece:
    """Ask a stream, and give a pooled connection back as a request does."""
    try:
        return stream.poll()
    finally:
        close_old_connections()


def _raise(error: OSError) -> bytes:
    raise error


def _from_thread(loop: asyncio.AbstractEventLoop, incoming: Incoming) -> bytes:
    return asyncio.run_coroutine_threadsafe(incoming.next(), loop).result()
