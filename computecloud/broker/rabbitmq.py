"""RabbitMQ as the broker: kombu's transport, which knows our queues, and whose publishing never waits for long.

`control` is a quorum queue, for every worker of the region depends on it; the hosts' queues are classic: there are
thousands, each is one worker's own, and what is lost with one is rung again by the sweeper. The types stand here and
not in Celery's settings: a Celery that knows of a quorum queue makes 28 queues more, for delays that nobody uses.
"""

import ssl
from typing import Any

from amqp.exceptions import IrrecoverableConnectionError
from kombu.exceptions import OperationalError
from kombu.transport import pyamqp

CONFIRM_S = 1.0  # a publish that is not confirmed in this time is the sweeper's case
# After so many returns (of workers that died with it) a message is dropped. The ledger counts the attempts at a step
# by itself, and rings again for what has no message: dropping one loses nothing and keeps no step from its turn.
QUORUM = {"x-queue-type": "quorum", "x-delivery-limit": 10}
QUORUM_QUEUES = ("control",)


class NotTaken(OperationalError, IrrecoverableConnectionError):
    """RabbitMQ did not answer in time; what was sent may still come through, which does no harm.

    Not recoverable in kombu's sense: it would try again at once, and the request would wait twice.
    """


class Channel(pyamqp.Channel):
    """A channel that declares each queue as what it is, and gives up a publish that is not confirmed in time."""

    def queue_declare(self, queue: str = "", *words: Any, **options: Any) -> Any:
        """Declare the queue with the arguments of its type."""
        if queue in QUORUM_QUEUES and not options.get("passive"):
            options["arguments"] = QUORUM
        return super().queue_declare(queue, *words, **options)

    def basic_publish_confirm(self, *words: Any, **options: Any) -> Any:
        """Publish and await the confirmation; raises NotTaken, with the connection closed, where none comes."""
        options["timeout"] = options["confirm_timeout"] = CONFIRM_S
        connection = self.connection
        try:
            return super().basic_publish_confirm(*words, **options)
        except (TimeoutError, NotTaken) as error:
            connection.collect()  # a late confirmation must not be taken for that of the next message
            raise NotTaken(f"RabbitMQ did not take the message: {error or 'no confirmation'}") from None


class Connection(pyamqp.Connection):
    """A connection with that channel, which waits for no answer longer than for a connection."""

    Channel = Channel

    def drain_events(self, timeout: float | None = None) -> Any:
        """Read what comes; raises NotTaken where no time was given and nothing comes in ours."""
        if timeout is not None:
            return super().drain_events(timeout)
        try:
            return super().drain_events(self.connect_timeout)
        except TimeoutError:
            self.collect()
            raise NotTaken("RabbitMQ does not answer") from None


class Transport(pyamqp.Transport):
    """kombu's transport with that connection."""

    Connection = Connection

    def qos_semantics_matches_spec(self, _connection: Any) -> bool:
        """Have each consumer's messages counted for itself: quorum queues refuse a count over a whole channel."""
        return True


class TLSTransport(Transport, pyamqp.SSLTransport):
    """The same over TLS; the broker's certificate is checked, against ?ssl_ca_certs=FILE or the system's authorities.

    kombu passes on what the address says under names that py-amqp does not know, and has no name checked.
    """

    def establish_connection(self) -> Any:
        """Connect, with what the address says of certificates."""
        client: Any = self.client
        given = client.ssl if isinstance(client.ssl, dict) else {}
        client.ssl = {
            "cert_reqs": ssl.CERT_REQUIRED,
            "server_hostname": client.hostname,
            **{name.removeprefix("ssl_"): value for name, value in given.items()},
        }
        return super().establish_connection()


def options(*, waits: bool) -> dict[str, Any]:
    """Return the transport's options; waits: for a worker's own connection, which nobody waits behind."""
    return {
        "confirm_publish": True,  # else RabbitMQ may drop a message and nobody is told
        "on_blocked": refuse,
        "connect_timeout": 5 if waits else 1,
        "max_retries": 0,  # of a publisher's connecting; a worker's own connection is tried for ever
    }


def refuse(reason: str) -> None:
    """End a publish at once where RabbitMQ says that it takes none (short of memory or disk)."""
    raise NotTaken(reason)
