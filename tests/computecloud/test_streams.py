"""Events over the web server: no thread is held between them, they end, and a user has only a few at once."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from granian.rsgi import ProtocolClosed

from computecloud import rsgi, streams
from computecloud.rsgi import Application, Environ
from computecloud.streams import EventStream, Piece, Seats, TooManyStreams
from tests.computecloud.test_rsgi import Client, Scope

LOOK = Scope(method="GET", headers={})
Wsgi = Callable[[Environ, Callable[..., None]], Any]


class Listener(Client):
    """A client that takes events; it goes away after so many pieces, noticed when something is sent or at once."""

    def __init__(self, *, leaves_after: int = 1_000, silently: bool = False, stuck: bool = False) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.head: tuple[int, Any] = (0, None)
        self._leaves_after, self._silently, self._stuck = leaves_after, silently, stuck
        self._gone = asyncio.Event()

    def response_stream(self, status: int, headers: Any) -> "Listener":
        self.head = (status, headers)
        return self

    async def send_bytes(self, data: bytes) -> None:
        if self._stuck:
            await asyncio.Event().wait()
        if len(self.pieces) >= self._leaves_after:
            raise ProtocolClosed
        self.pieces.append(data)
        if len(self.pieces) >= self._leaves_after and not self._silently:
            self._gone.set()

    async def client_disconnect(self) -> None:
        await self._gone.wait()


def telling(*pieces: Piece, user_id: str = "u", asked: list[int] | None = None) -> Wsgi:
    """Return an application whose streams tell these pieces, then nothing."""

    def wsgi(_environ: Environ, start_response: Callable[..., None]) -> EventStream:
        left = list(pieces)

        def poll() -> Piece:
            if asked is not None:
                asked.append(1)
            return left.pop(0) if left else Piece()

        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return EventStream(poll, user_id=user_id)

    return wsgi


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "POLL_S", 0.01)
    monkeypatch.setattr(streams, "LENGTH_S", 5.0)


def look(application: Application, listener: Listener) -> Listener:
    asyncio.run(application.__rsgi__(LOOK, listener))  # type: ignore[arg-type]
    return listener


def test_events_are_sent_as_they_come_until_the_stream_ends():
    pieces = (Piece(b"one"), Piece(), Piece(b"two"), Piece(b"end", ended=True), Piece(b"never"))
    found = look(Application(telling(*pieces), threads=1), Listener())
    assert found.pieces == [streams.BEGIN, b"one", b"two", b"end"]
    assert found.head == (200, [("Content-Type", "text/event-stream")])


def test_a_stream_is_over_after_its_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streams, "LENGTH_S", 0.1)
    assert look(Application(telling(Piece(b"one")), threads=1), Listener()).pieces == [streams.BEGIN, b"one"]


def test_a_silent_stream_has_a_heartbeat(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streams, "LENGTH_S", 0.5)
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.05)
    found = look(Application(telling(), threads=1), Listener()).pieces
    assert found[0] == streams.BEGIN
    assert set(found[1:]) == {streams.HEARTBEAT}


def test_a_client_that_leaves_ends_its_stream_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streams, "POLL_S", 60.0)
    asked: list[int] = []
    look(Application(telling(asked=asked), threads=1), Listener(leaves_after=1))
    assert asked == [1]


def test_a_client_that_is_found_gone_ends_its_stream():
    pieces = (Piece(b"one"), Piece(b"two"))
    found = look(Application(telling(*pieces), threads=1), Listener(leaves_after=2, silently=True))
    assert found.pieces == [streams.BEGIN, b"one"]


def test_a_client_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rsgi, "SILENCE_S", 0.05)
    assert look(Application(telling(), threads=1), Listener(stuck=True)).pieces == []


def test_streams_hold_no_thread_between_events(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streams, "POLL_S", 60.0)

    def both(environ: Environ, start_response: Callable[..., None]) -> Any:
        if environ["REQUEST_METHOD"] == "GET":
            number = environ["QUERY_STRING"]
            return telling(user_id=number)(environ, start_response)
        start_response("200 OK", [])
        return HttpResponse(b"quick")

    application = Application(both, threads=1)

    async def crowd() -> Client:
        looking = [
            asyncio.create_task(
                application.__rsgi__(
                    Scope(method="GET", headers={}, query_string=str(number)),  # type: ignore[arg-type]
                    Listener(),  # type: ignore[arg-type]
                )
            )
            for number in range(50)
        ]
        await asyncio.sleep(0.5)
        other = Client()
        await asyncio.wait_for(application.__rsgi__(Scope(headers={}), other), 5)  # type: ignore[arg-type]
        assert not any(task.done() for task in looking)
        for task in looking:
            task.cancel()
        return other

    assert asyncio.run(crowd()).answer == (200, b"quick")


def test_a_user_has_only_a_few_streams_at_once_and_others_have_theirs():
    seats = Seats(a_user=1, of_all=2)
    with seats.taken("a"), seats.taken("b"):
        for user_id, words in (("a", "Close one of the pages"), ("c", "Try again")):
            with pytest.raises(TooManyStreams, match=words), seats.taken(user_id):
                pass
    with seats.taken("a"):
        pass


def test_one_stream_too_many_is_answered_429(monkeypatch: pytest.MonkeyPatch):
    application = Application(telling(), threads=1)

    async def crowd() -> Listener:
        looking = [
            asyncio.create_task(application.__rsgi__(LOOK, Listener()))  # type: ignore[arg-type]
            for _ in range(streams.STREAMS_A_USER)
        ]
        await asyncio.sleep(0.3)
        late = Listener()
        await application.__rsgi__(LOOK, late)  # type: ignore[arg-type]
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)
        again = Listener(leaves_after=1)
        await application.__rsgi__(LOOK, again)  # type: ignore[arg-type]
        assert again.pieces == [streams.BEGIN]
        return late

    late = asyncio.run(crowd())
    assert late.answer[0] == 429
    assert b"too many operations" in late.answer[1]
