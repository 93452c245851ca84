"""Redis as the broker: kombu's transport with one client kept for a channel's commands.

kombu makes a new client for every command it sends outside its polling loop, which is a twelfth of a worker's CPU; a
client is thread-safe and takes its connection from the same pool either way. Other brokers are not touched.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis


class Channel(redis.Channel):
    """A channel that keeps its client for as long as it keeps its pool of connections."""

    _kept: Any = None

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """Yield the client given, or the one kept."""
        if client is None and self._kept is None:
            self._kept = self._create_client()  # type: ignore[attr-defined]
        yield client or self._kept

    def _disconnect_pools(self) -> None:
        self._kept = None
        super()._disconnect_pools()  # type: ignore[misc]


class Transport(redis.Transport):
    """kombu's Redis transport with that channel."""

    Channel = Channel


def register() -> None:
    """Have every redis:// address served by this transport."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
