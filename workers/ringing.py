"""Ringing a host: an event of a room's own, by the host's queue. It says nothing, so it may be lost."""

import time

import structlog
from celery import current_app
from kombu.exceptions import OperationalError as BrokerError

log = structlog.get_logger()

EXPIRES_S = 60
_REST_S = 2.0
_silent_until_s = 0.0


def ring(host: str, event: str) -> bool:
    """Have the event emitted on the host, soon; False where the broker does not take the message."""
    global _silent_until_s
    if time.monotonic() < _silent_until_s:
        return False
    try:
        current_app.tasks["workers.ring"].apply_async(
            args=(host, event), queue=f"host.{host}", expires=EXPIRES_S
        )
    except (BrokerError, OSError) as error:
        _silent_until_s = time.monotonic() + _REST_S
        log.warning("ring.failed", host=host, ring=event, error=str(error))
        return False
    return True
