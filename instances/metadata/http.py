"""One guest's connection: HTTP/1.1 within tight limits, parsed by h11; what is not understood ends it."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import h11

from instances.metadata.answers import Answer, Question

HEAD_MAX_BYTES = 8_192
BODY_MAX_BYTES = 4_096  # more than the one thing that a guest may post
READ_BYTES = 4_096
REQUEST_S = 10.0  # for a whole request to come, from the end of the last; and for an answer to be taken
REQUESTS_MAX = 100  # by one connection

Ask = Callable[[Question], Awaitable[Answer]]


class TooMuch(Exception):
    """The body is longer than any that is asked for."""


async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ask: Ask) -> None:
    """Answer what comes by a connection until either side ends it, or a limit does; it is closed by the caller."""
    talk = _Talk(reader, writer)
    try:
        for _ in range(REQUESTS_MAX):
            question = await talk.question()
            if question is None:
                return
            await talk.say(await ask(question), to=question.method)
            if not talk.goes_on():
                return
    except TooMuch:
        await talk.refuse(413)
    except h11.RemoteProtocolError as error:
        await talk.refuse(error.error_status_hint)
    except (TimeoutError, OSError):
        return


class _Talk:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_MAX_BYTES)

    async def question(self) -> Question | None:
        """Return the next request, None where the guest has ended; raises TimeoutError, TooMuch, h11's errors."""
        async with asyncio.timeout(REQUEST_S):
            request = await self._event()
            if not isinstance(request, h11.Request):
                return None
            body = b""
            while isinstance(event := await self._event(), h11.Data):
                body += event.data
                if len(body) > BODY_MAX_BYTES:
                    raise TooMuch
            return Question(request.method.decode("ascii"), request.target, body)

    async def say(self, answer: Answer, *, to: str) -> None:
        """Send an answer; raises TimeoutError where the guest does not take it."""
        headers = [("Content-Type", answer.media_type), ("Content-Length", str(len(answer.body)))]
        if answer.status in (413, 429, 503):
            headers += [("Retry-After", "1"), ("Connection", "close")]
        reason = HTTPStatus(answer.status).phrase.encode()
        response = h11.Response(status_code=answer.status, reason=reason, headers=headers)
        events: list[h11.Event] = [response, h11.EndOfMessage()]
        if answer.body and to != "HEAD":
            events.insert(1, h11.Data(data=answer.body))
        async with asyncio.timeout(REQUEST_S):
            for event in events:
                self._writer.write(self._http.send(event) or b"")
            await self._writer.drain()

    async def refuse(self, status: int) -> None:
        """Say why the connection ends, where the guest can still be told."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        phrase = HTTPStatus(status).phrase
        try:
            await self.say(Answer(status, f"{status} {phrase}".encode()), to="")
        except (TimeoutError, OSError, h11.LocalProtocolError):
            return

    def goes_on(self) -> bool:
        """Tell whether another request may come, and be ready for it."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def _event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
                self._writer.write(self._http.send(go_on) or b"")
            self._http.receive_data(await self._reader.read(READ_BYTES))
        return event
