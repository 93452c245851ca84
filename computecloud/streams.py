"""Server-sent events: an answer that is asked again and again for what is new, and holds no thread between.

The web server (`computecloud.rsgi`) asks it every POLL_S from its event loop, for at most LENGTH_S; then it ends and
the browser comes again, with the id of the last event that it has seen. Any other server asks it once: the same events
come, each by a request of its own.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.http import StreamingHttpResponse

from computecloud.wire.errors import TooManyRequests

POLL_S = 1.0
LENGTH_S = 30.0
HEARTBEAT_S = 10.0
RETRY_MS = 2_000
STREAMS_A_USER = 4
STREAMS = 100  # of all users, at one web server
BEGIN = f"retry: {RETRY_MS}\n\n".encode()
HEARTBEAT = b":\n\n"


@dataclass(frozen=True, slots=True)
class Piece:
    """What is new, as events; none is no bytes. `ended`: nothing more will come."""

    events: bytes = b""
    ended: bool = False


class TooManyStreams(TooManyRequests):
    """The user has as many streams open as one may have (429)."""


class EventStream(StreamingHttpResponse):
    """The events that `poll` tells of; `user_id` is who looks at them."""

    def __init__(self, poll: Callable[[], Piece], *, user_id: str) -> None:
        self.poll, self.user_id = poll, user_id
        super().__init__(self._once(), content_type="text/event-stream")
        self["Cache-Control"] = "no-store"
        self["X-Accel-Buffering"] = "no"  # a proxy that collects answers would hold the events back

    def _once(self) -> Iterator[bytes]:
        yield BEGIN + self.poll().events


class Seats:
    """How many streams each user has open at this web server; for one thread alone."""

    def __init__(self, a_user: int = STREAMS_A_USER, of_all: int = STREAMS) -> None:
        self._a_user, self._of_all, self._taken = a_user, of_all, Counter[str]()

    @contextmanager
    def taken(self, user_id: str) -> Iterator[None]:
        """Hold a seat; raises TooManyStreams."""
        if self._taken[user_id] >= self._a_user:
            raise TooManyStreams("You look at too many operations at once. Close one of the pages.")
        if self._taken.total() >= self._of_all:
            raise TooManyStreams("Too many operations are looked at at once. Try again.", retry_after_s=10)
        self._taken[user_id] += 1
        try:
            yield
        finally:
            self._taken[user_id] -= 1
            if not self._taken[user_id]:
                del self._taken[user_id]


def event(name: str, identifier: str, text: str) -> bytes:
    """Return one event; its text may have several lines."""
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {name}\nid: {identifier}\n{lines}\n".encode()
