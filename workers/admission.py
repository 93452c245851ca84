"""Fairness: a tenant has at most K operations in the queues; the end of one admits the next tenant's turn."""

import time
from uuid import UUID

from django.db.models import Count, Q

from computecloud.config import CONFIG
from workers import dispatch
from workers.models import ACTIVE, Operation, State


def has_room(project_id: str) -> bool:
    """Tell whether one more operation of this tenant may go to the queues at once."""
    under_way = Operation.objects.filter(project_id=project_id, state__in=ACTIVE, admitted=True)
    return len(under_way.values_list("id")[: CONFIG.admitted_per_project]) < CONFIG.admitted_per_project


def admit_next() -> UUID | None:
    """Admit the oldest waiting operation of the tenant with the fewest in the queues, and publish it."""
    waiting = Operation.objects.filter(admitted=False, state=State.PENDING)
    if not waiting.exists():
        return None
    tenants = set(waiting.order_by().values_list("project_id", flat=True).distinct())
    busy = dict(
        Operation.objects.filter(state__in=ACTIVE, admitted=True, project_id__in=tenants)
        .order_by()
        .values_list("project_id")
        .annotate(Count("id"))
    )
    project_id = min(tenants, key=lambda tenant: busy.get(tenant, 0))
    if busy.get(project_id, 0) >= CONFIG.admitted_per_project:
        return None
    chosen = waiting.filter(project_id=project_id).order_by("created_at").first()
    if chosen is None:
        return None
    if not Operation.objects.filter(Q(id=chosen.id) & Q(admitted=False)).update(
        admitted=True, dispatched_at=time.time()
    ):
        return None
    chosen.admitted = True
    dispatch.publish(chosen)
    return chosen.id
