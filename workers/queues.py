"""The broker's queues, looked at from outside: how long each is, and whether somebody reads it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from celery import current_app
from kombu.exceptions import OperationalError as BrokerError

from workers.workflow import CONTROL

HOST_QUEUES = "host."


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue as the broker shows it; readers is None where the broker does not tell."""

    name: str
    messages: int
    readers: int | None


def depth(name: str) -> int:
    """Return how many messages wait in a queue; 0 where there is none, or the broker does not say."""
    try:
        found = look(name)
    except BrokerError:
        return 0
    return found.messages if found else 0


def look(name: str) -> Queue | None:
    """Return a queue; None where there is none. Raises BrokerError where the broker does not answer."""
    with _channel() as channel:
        if _lists(channel):
            return Queue(name, channel.client.llen(name), None)
        try:
            shown = channel.queue_declare(queue=name, passive=True)
        except channel.connection.channel_errors:
            return None
        return Queue(name, shown.message_count, shown.consumer_count)


def listed() -> list[Queue] | None:
    """Return all our queues; None where the broker shows only those that one can name, as RabbitMQ does."""
    with _channel() as channel:
        if not _lists(channel):
            return None
        client = channel.client
        names = [key.decode() for key in client.keys(f"{HOST_QUEUES}*") + client.keys(f"{CONTROL}*")]
        return [Queue(name, client.llen(name), None) for name in names if client.type(name) == b"list"]


def remove(name: str) -> None:
    """Throw a queue away with all that is in it."""
    with _channel() as channel:
        if _lists(channel):
            channel.client.delete(name)
        else:
            channel.queue_delete(name)


@contextmanager
def _channel() -> Iterator[Any]:
    """Return a channel of its own; RabbitMQ closes one that asked for a queue that is not there."""
    pool: Any = current_app.pool
    with pool.acquire(block=True) as connection:
        refusals: tuple[type[BaseException], ...] = connection.recoverable_connection_errors
        try:
            connection.ensure_connection(max_retries=0)
            channel = connection.channel()
            try:
                yield channel
            finally:
                channel.close()
        except refusals as error:
            connection.collect()
            raise BrokerError(str(error)) from error


def _lists(channel: Any) -> bool:
    """Tell whether the broker keeps queues as lists in Redis."""
    return bool(channel.connection.client.transport.driver_type == "redis")
