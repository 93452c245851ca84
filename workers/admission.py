"""Fairness: a tenant has at most K operations in the queues; the end of one admits the next tenant's turn."""

from uuid import UUID

from computecloud.config import CONFIG
from workers import clock, dispatch, sql
from workers.models import Operation

# Goes from tenant to tenant along the index of what waits, so that it costs the same however much waits.
_NEXT = """
WITH RECURSIVE tenant (project_id) AS (
    SELECT min(project_id) FROM workers_operation WHERE NOT admitted AND state = 'pending'
    UNION ALL
    SELECT (SELECT min(project_id) FROM workers_operation
            WHERE NOT admitted AND state = 'pending' AND project_id > tenant.project_id)
    FROM tenant WHERE tenant.project_id IS NOT NULL
), busy (project_id, operations) AS (
    SELECT project_id, (SELECT count(*) FROM workers_operation o WHERE o.project_id = tenant.project_id
                        AND o.admitted AND o.state IN ('pending', 'running', 'undoing'))
    FROM tenant WHERE project_id IS NOT NULL
)
SELECT id FROM workers_operation WHERE NOT admitted AND state = 'pending'
    AND project_id = (SELECT project_id FROM busy WHERE operations < %(most)s ORDER BY operations, project_id LIMIT 1)
ORDER BY created_at LIMIT 1
"""

_ADMIT = """
UPDATE workers_operation SET admitted = %(yes)s, dispatched_at = %(now)s,
    deadline = deadline + %(now)s - dispatched_at
WHERE id = %(id)s AND NOT admitted AND state = 'pending' RETURNING kind, params, host, cursor
"""

_BUSY = """
SELECT count(*) FROM workers_operation
WHERE project_id = %(project_id)s AND admitted AND state IN ('pending', 'running', 'undoing')
"""


def has_room(project_id: str) -> bool:
    """Tell whether one more operation of this tenant may go to the queues at once."""
    busy: int = sql.fetch(_BUSY, {"project_id": project_id})[0][0]
    return busy < CONFIG.admitted_per_project


def admit_next() -> UUID | None:
    """Admit the oldest waiting operation of the tenant with the fewest in the queues, and publish it."""
    while chosen := sql.fetch(_NEXT, {"most": CONFIG.admitted_per_project}):
        key, now = sql.as_uuid(chosen[0][0]), clock.now()
        for kind, params, host, cursor in sql.fetch(_ADMIT, {"yes": True, "now": now, "id": key}):
            operation = Operation(id=key, kind=kind, params=sql.as_json(params), host=host, cursor=cursor)
            dispatch.publish(operation)
            return key
    return None
