"""What carries the messages, by its address alone: Redis (redis://, rediss://) or RabbitMQ (amqp://, amqps://).

The broker is a doorbell: what must happen stands in the database. So nobody waits for it for long, and losing all
that is in it loses nothing.
"""

from typing import Any

import kombu
from celery.app import amqp
from kombu.transport import TRANSPORT_ALIASES

RETRY_S = 1.0

TRANSPORTS = {
    "redis": f"{__name__}.redis:Transport",
    "rediss": f"{__name__}.redis:Transport",
    "amqp": f"{__name__}.rabbitmq:Transport",
    "pyamqp": f"{__name__}.rabbitmq:Transport",
    "amqps": f"{__name__}.rabbitmq:TLSTransport",
}


class Connection(kombu.Connection):
    """A connection whose worker looks every second whether its broker is back, however long that was away."""

    def ensure_connection(self, *words: Any, **options: Any) -> Any:
        """Connect, and try again where that fails; kombu's own pauses grow to 30 s."""
        pauses = {"interval_start": RETRY_S, "interval_step": 0, "interval_max": RETRY_S}
        return super().ensure_connection(*words, **{**pauses, **options})


class AMQP(amqp.AMQP):
    """Celery's messaging with that connection."""

    Connection = Connection


def register() -> None:
    """Have these addresses served by our transports; each is imported when it is used."""
    TRANSPORT_ALIASES.update(TRANSPORTS)


def is_rabbitmq(url: str) -> bool:
    """Tell whether the broker at this address is RabbitMQ."""
    return url.partition("://")[0] in ("amqp", "amqps", "pyamqp")


def options(url: str, *, waits: bool) -> dict[str, Any]:
    """Return the options of the transport; waits: for a worker, which may wait longer than a request."""
    if is_rabbitmq(url):
        from computecloud.broker import rabbitmq

        return rabbitmq.options(waits=waits)
    from computecloud.broker import redis

    return redis.options(waits=waits)
