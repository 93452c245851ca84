"""The metadata service's connections: what hostile guests send, and what one guest may take from the others."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from instances.metadata import http
from instances.metadata.answers import Answer, Question
from instances.metadata.limits import BURST, CONNECTIONS_MAX, CONNECTIONS_OF_GUEST_MAX, EACH_S, Limits

HELLO = b"GET /latest HTTP/1.1\r\nHost: x\r\n\r\n"


def echo(question: Question) -> Answer:
    return Answer(200, b"|".join([question.method.encode(), question.path, question.body]))


@asynccontextmanager
async def served(answering: Callable[[Question], Answer] = echo):
    """Yield a function that sends bytes and returns all that comes until the connection ends."""

    async def ask(question: Question) -> Answer:
        return answering(question)

    async def on_connect(reader, writer):
        await http.converse(reader, writer, ask)
        writer.close()

    server = await asyncio.start_server(on_connect, "127.0.0.1", 0, limit=http.HEAD_MAX_BYTES)
    port = server.sockets[0].getsockname()[1]

    async def say(*pieces: bytes, end: bool = True) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if end:
                writer.write_eof()
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async with server:
        yield say


def talk(*pieces: bytes, answering: Callable[[Question], Answer] = echo, end: bool = True) -> bytes:
    async def run() -> bytes:
        async with served(answering) as say:
            return await say(*pieces, end=end)

    return asyncio.run(run())


def test_a_request_is_answered_with_length_and_type():
    said = talk(HELLO)
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nContent-Length: 12\r\n" in said
    assert said.endswith(b"\r\n\r\nGET|/latest|")


def test_a_connection_carries_several_requests_but_not_endlessly(monkeypatch):
    monkeypatch.setattr(http, "REQUESTS_MAX", 3)
    assert talk(*[HELLO] * 5).count(b"200 OK") == 3


def test_a_request_may_come_in_any_pieces_and_with_a_body():
    request = b"POST /openstack/latest/password HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nsecret"
    assert talk(*[bytes([octet]) for octet in request]).endswith(b"POST|/openstack/latest/password|secret")


def test_who_waits_for_a_go_ahead_gets_one(monkeypatch):
    monkeypatch.setattr(http, "REQUEST_S", 0.2)
    head = b"POST /p HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    assert talk(head, end=False).startswith(b"HTTP/1.1 100 Continue\r\n")


def test_a_head_request_gets_no_body():
    said = talk(b"HEAD /latest HTTP/1.1\r\nHost: x\r\n\r\n")
    assert said.endswith(b"\r\n\r\n")
    assert b"200 OK" in said


def test_an_old_client_is_answered_and_let_go():
    assert talk(b"GET /latest HTTP/1.0\r\n\r\n", end=False).endswith(b"GET|/latest|")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 4 + b"\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000,
    ],
)
def test_what_is_no_request_is_refused_and_ends_the_connection(sent):
    asked = []
    said = talk(sent, answering=lambda question: asked.append(question) or Answer(200))
    assert said == b"" or said[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 431", b"HTTP/1.1 501"), said
    assert asked == []


def test_a_body_that_is_too_long_is_refused_before_it_has_come():
    head = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
    said = talk(head, b"x" * (http.BODY_MAX_BYTES + 1), end=False)
    assert said == b"" or said.startswith(b"HTTP/1.1 413")


def test_a_guest_that_stops_half_way_is_let_go(monkeypatch):
    monkeypatch.setattr(http, "REQUEST_S", 0.05)
    assert talk(b"GET /latest HTT", end=False) == b""
    assert talk(end=False) == b""


def test_a_guest_that_takes_no_answer_is_let_go(monkeypatch):
    monkeypatch.setattr(http, "REQUEST_S", 0.05)
    ended = []

    async def run() -> None:
        async def ask(_: Question) -> Answer:
            return Answer(200, b"x" * 50_000_000)

        async def on_connect(reader, writer):
            await http.converse(reader, writer, ask)
            ended.append(True)
            writer.transport.abort()

        server = await asyncio.start_server(on_connect, "127.0.0.1", 0, limit=http.HEAD_MAX_BYTES)
        async with server:
            with socket.create_connection(server.sockets[0].getsockname()) as guest:
                guest.sendall(HELLO)
                while not ended:
                    await asyncio.sleep(0.01)

    asyncio.run(run())
    assert ended == [True]


def test_a_guest_that_is_busy_is_told_to_come_again_and_let_go():
    said = talk(HELLO, HELLO, answering=lambda _: Answer(429, b"later"))
    assert said.count(b"HTTP/1.1 429") == 1
    assert b"Retry-After: 1" in said


def test_one_guest_has_few_connections_and_leaves_room_for_others():
    limits, greedy, other = Limits(), (uuid4(), "10.0.0.3"), (uuid4(), "10.0.0.3")
    assert all(limits.connect(greedy, 0) for _ in range(CONNECTIONS_OF_GUEST_MAX))
    assert not limits.connect(greedy, 0)
    assert limits.connect(other, 0)
    limits.disconnect(greedy, 0)
    assert limits.connect(greedy, 0)


def test_all_guests_together_have_a_limit():
    limits = Limits()
    guests = [(uuid4(), "10.0.0.3") for _ in range(CONNECTIONS_MAX)]
    assert all(limits.connect(guest, 0) for guest in guests)
    assert not limits.connect((uuid4(), "10.0.0.3"), 0)
    limits.disconnect(guests[0], 0)
    assert limits.connect((uuid4(), "10.0.0.3"), 0)


def test_a_guest_may_ask_much_at_once_and_then_little_a_second():
    limits, guest = Limits(), (uuid4(), "10.0.0.3")
    limits.connect(guest, 0)
    assert [limits.ask(guest, 0) for _ in range(BURST + 1)].count(True) == BURST
    assert [limits.ask(guest, 1) for _ in range(BURST)].count(True) == EACH_S


def test_who_connects_anew_is_not_forgiven_until_it_has_been_quiet():
    limits, guest = Limits(), (uuid4(), "10.0.0.3")
    limits.connect(guest, 0)
    for _ in range(BURST):
        limits.ask(guest, 0)
    limits.disconnect(guest, 0)
    limits.connect(guest, 0)
    assert not limits.ask(guest, 0)
    limits.disconnect(guest, BURST / EACH_S)
    limits.connect(guest, BURST / EACH_S)
    assert limits.ask(guest, BURST / EACH_S)
