"""Redis as the broker: kombu's transport with one client kept for a channel's commands.

kombu makes a new client for every command it sends outside its polling loop, which is a twelfth of a worker's CPU; a
client is thread-safe and takes its connection from the same pool either way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.exceptions import OperationalError
from kombu.transport import redis
from redis.exceptions import ResponseError

# A worker asks its queues anew every second; one that gets no answer for so long and that second connects again. It
# looks as often: a connection that is half open is found within 5 s, where kombu's usual 25 s and more would not do.
HEALTH_S = 2


class Channel(redis.Channel):
    """A channel that keeps its client for as long as it keeps its pool of connections."""

    _kept: Any = None

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """Yield the client given, or the one kept."""
        if client is None and self._kept is None:
            self._kept = self._create_client()  # type: ignore[attr-defined]
        yield client or self._kept

    def _put(self, queue: str, message: Any, **options: Any) -> None:
        """Put a message into its list; raises OperationalError where Redis refuses it, such as for want of memory."""
        try:
            super()._put(queue, message, **options)
        except ResponseError as error:
            raise OperationalError(f"Redis did not take the message: {error}") from None

    def _disconnect_pools(self) -> None:
        self._kept = None
        super()._disconnect_pools()  # type: ignore[misc]


class Transport(redis.Transport):
    """kombu's Redis transport with that channel."""

    Channel = Channel


def options(*, waits: bool) -> dict[str, Any]:
    """Return the transport's options; waits: for a worker, which may wait longer than a request."""
    return {
        # A connection that is half open is found, and a publisher has several, one after the other.
        "socket_timeout": 2 if waits else 1,
        "socket_connect_timeout": 1,
        "socket_keepalive": True,
        "health_check_interval": HEALTH_S,
        "max_retries": 0,  # of a publisher's connecting; a worker's own connection is tried for ever
        # A message that its worker has not acknowledged is kept in the worker's memory, not in Redis too: that costs
        # a fifth of a worker's CPU and would bring it back after an hour; the sweeper rings again after seconds.
        "ack_emulation": False,
        "priority_steps": [0],  # one list a queue; each priority would be one more, asked for at every turn
        "queue_order_strategy": "round_robin",  # a host's two queues get their turns whatever is in them
    }
