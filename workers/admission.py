"""Fairness: a tenant has at most K operations in the queues; the end of one admits the next tenant's turn."""

import time
from uuid import UUID

from computecloud.config import CONFIG
from workers import dispatch, sql
from workers.models import Operation

_WAITS = "state = 'pending' AND NOT admitted"

# Tenant by tenant along the index of what waits, so that the number of waiting operations costs nothing.
_ADMIT_NEXT = f"""
WITH RECURSIVE
    tenant (project_id) AS (
        SELECT min(project_id) FROM workers_operation WHERE {_WAITS}
        UNION ALL
        SELECT (SELECT min(project_id) FROM workers_operation WHERE {_WAITS} AND project_id > tenant.project_id)
        FROM tenant WHERE tenant.project_id IS NOT NULL
    ),
    busy (project_id, operations) AS (
        SELECT project_id, (SELECT count(*) FROM workers_operation o WHERE o.project_id = tenant.project_id
                            AND o.state IN ('pending', 'running', 'undoing') AND o.admitted)
        FROM tenant WHERE project_id IS NOT NULL
    ),
    chosen (project_id) AS (
        SELECT project_id FROM busy WHERE operations < %(most)s ORDER BY operations, project_id LIMIT 1
    )
UPDATE workers_operation SET admitted = %(yes)s, dispatched_at = %(now)s
WHERE {_WAITS} AND id = (SELECT id FROM workers_operation WHERE {_WAITS}
                         AND project_id = (SELECT project_id FROM chosen) ORDER BY created_at LIMIT 1)
RETURNING id, kind, params, host, cursor
"""

HAS_ROOM = """
(SELECT count(*) FROM workers_operation o WHERE o.project_id = %(project_id)s
 AND o.state IN ('pending', 'running', 'undoing') AND o.admitted) < %(most)s
"""


def admit_next() -> UUID | None:
    """Admit the oldest waiting operation of the tenant with the fewest in the queues, and publish it."""
    if not sql.fetch(f"SELECT 1 FROM workers_operation WHERE {_WAITS} LIMIT 1", {}):  # noqa: S608
        return None
    now = time.time()
    rows = sql.fetch(_ADMIT_NEXT, {"most": CONFIG.admitted_per_project, "yes": True, "now": now})
    if not rows:
        return None
    key, kind, params, host, cursor = rows[0]
    operation = Operation(
        id=sql.as_uuid(key), kind=kind, params=sql.as_json(params), host=host, cursor=cursor, dispatched_at=now
    )
    dispatch.publish(operation)
    return operation.id
