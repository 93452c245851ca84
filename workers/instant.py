"""Actions that are done at once, without steps: they stand in the ledger as ended, so that their history is one."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from computecloud.wire import requestid
from workers import sql
from workers.models import Operation, State, utc_now


def note(
    *, kind: str, subject: tuple[str, UUID], project_id: str, user_id: str, params: Mapping[str, Any]
) -> Operation:
    """Write what was done to a subject, in the transaction that does it."""
    operation = Operation(
        kind=kind,
        state=State.SUCCEEDED.value,
        subject_type=subject[0],
        subject_id=subject[1],
        project_id=project_id,
        user_id=user_id,
        request_id=requestid.current(),
        params=dict(params),
        finished_at=utc_now(),
    )
    sql.insert([operation])
    return operation
