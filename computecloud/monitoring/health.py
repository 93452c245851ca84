"""Health and readiness: /healthz says that this process answers, /readyz what of all that it needs is missing."""

from collections.abc import Callable

from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, JsonResponse
from kombu.exceptions import OperationalError as BrokerError

from workers import pulse, queues
from workers.workflow import CONTROL


def healthz(_request: HttpRequest) -> JsonResponse:
    """Answer 200: this process lives. It looks at nothing else."""
    return JsonResponse({"status": "ok"})


def readyz(_request: HttpRequest) -> JsonResponse:
    """Answer 200 where requests can be served and operations move on, else 503; each part says what is wrong.

    No addresses and no errors' insides are in it: anybody may ask.
    """
    parts = {name: look() for name, look in PARTS.items()}
    missing = [name for name, wrong in parts.items() if wrong]
    body = {"status": "missing" if missing else "ready", "missing": missing}
    return JsonResponse(
        {**body, "parts": {name: wrong or "ok" for name, wrong in parts.items()}},
        status=503 if missing else 200,
    )


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "does not answer"
    return ""


def _broker() -> str:
    try:
        queues.look(CONTROL)
    except (BrokerError, OSError):
        return "does not answer: requests are accepted, and carried out when it is back"
    return ""


def _beat() -> str:
    try:
        age_s = pulse.age_s(pulse.BEAT)
    except DatabaseError:
        return "unknown while the database does not answer"
    if age_s is None:
        return "was never heard: see that beat and a control worker run"
    return (
        f"was last heard {age_s:.0f} s ago: see that it and a control worker run"
        if age_s > pulse.BEAT_SILENT_S
        else ""
    )


PARTS: dict[str, Callable[[], str]] = {"database": _database, "broker": _broker, "beat": _beat}
