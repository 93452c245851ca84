"""Operations of kinds that only a newer version knows, once nobody of that version is there to end them.

That is so after going back to an older version. While a newer worker is there it ends them by their deadline, as its
own tables say; what is late by so much that there can be none fails, and the room whose subject it is says what that
shows from then on. What it left on hosts stays in its footprints, for a delete and audits to clean.
"""

from collections.abc import Callable

from django.db.models import QuerySet

from workers import workflow
from workers.models import Operation
from workers.workflow import Context

# A newer control worker, if there is one, sweeps many times in that; after an outage that was longer whoever sweeps
# first decides, and an older one can but fail it.
LATE_S = 60.0

_by_subject: dict[str, Callable[[Context], None]] = {}


def register(subject_type: str, write: Callable[[Context], None]) -> None:
    """Have a room write, in the transaction that ends such an operation, what its subject shows then."""
    _by_subject[subject_type] = write


def writer(subject_type: str) -> Callable[[Context], None]:
    """Return what was registered for the type; nothing is written of a subject that only a newer version knows."""
    return _by_subject.get(subject_type, lambda _: None)


def left(active: QuerySet[Operation], now: float) -> QuerySet[Operation]:
    """Return those of the active operations that nobody will end; now: seconds of the cloud's clock."""
    unknown = active.exclude(kind__in=workflow.registered())
    return unknown.filter(lease_token=None, admitted=True, deadline__lt=now - LATE_S)
