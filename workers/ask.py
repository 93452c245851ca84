"""Questions to a host that a web process waits for, such as a console's last lines; a row carries both ways."""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import structlog
from celery import current_app
from kombu.exceptions import OperationalError as BrokerError

from computecloud.wire.errors import Unavailable
from workers import retry
from workers.liveness import is_up
from workers.models import Inquiry

log = structlog.get_logger()

Handler = Callable[[dict[str, Any]], Any]
_handlers: dict[str, Handler] = {}


def register(kind: str, handler: Handler) -> None:
    """Have handler answer inquiries of this kind on the host; it takes the parameters and returns JSON."""
    _handlers[kind] = handler


def ask(host: str, kind: str, params: dict[str, Any], *, timeout_s: float = 10.0) -> Any:
    """Put a question to a host and return its answer; raises Unavailable where none comes in time."""
    if not is_up(host):
        raise Unavailable(f"Host {host} does not answer at the moment. Try again when it is up.")
    inquiry = Inquiry.objects.create(host=host, kind=kind, params=params)
    try:
        current_app.tasks["workers.inquiry"].apply_async(
            args=(inquiry.id.hex,), queue=f"host.{host}", expires=timeout_s
        )
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            inquiry.refresh_from_db(fields=["answered", "answer", "error"])
            if inquiry.answered:
                break
            time.sleep(0.01)
    except (BrokerError, OSError):
        raise Unavailable("The message broker does not answer at the moment. Try again later.") from None
    finally:
        Inquiry.objects.filter(id=inquiry.id).delete()
    if not inquiry.answered:
        raise Unavailable(f"Host {host} gave no answer within {timeout_s:.0f} s. Try again later.")
    if inquiry.error:
        raise Unavailable(inquiry.error)
    return inquiry.answer


def answer(inquiry_id: UUID) -> None:
    """Answer an inquiry, if it still waits."""
    inquiry = Inquiry.objects.filter(id=inquiry_id, answered=False).first()
    if inquiry is None:
        return
    result, error = None, ""
    try:
        result = _handlers[inquiry.kind](inquiry.params)
    except Exception as problem:
        log.warning("inquiry.failed", kind=inquiry.kind, exc_info=problem)
        error = retry.in_words(problem)
    Inquiry.objects.filter(id=inquiry_id).update(answered=True, answer=result, error=error)
