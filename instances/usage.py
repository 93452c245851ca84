"""How long servers ran within a period, which is what a project is billed for."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from instances.models import Instance

_COLUMNS = ("id", "name", "project_id", "flavor", "vm_state", "launched_at", "terminated_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From start until stop."""

    start: datetime
    stop: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUsage:
    """A server that ran in the period, and for how long; `ended_at` is when it was deleted."""

    instance_id: UUID
    name: str
    project_id: str
    flavor: str
    vcpus: int
    memory_mib: int
    disk_gib: int
    vm_state: str
    started_at: datetime
    ended_at: datetime | None
    hours: float


def ran(period: Period, *, project_id: str | None = None) -> QuerySet[Instance]:
    """Return the servers that ran in a period, deleted ones too, by project and id."""
    found = Instance.objects.filter(launched_at__lt=period.stop)
    found = found.filter(Q(terminated_at=None) | Q(terminated_at__gt=period.start))
    if project_id is not None:
        found = found.filter(project_id=project_id)
    return found.order_by("project_id", "id")


def after(found: QuerySet[Instance], marker: Instance) -> QuerySet[Instance]:
    """Return those of `ran` that come after a server."""
    return found.filter(
        Q(project_id__gt=marker.project_id) | Q(project_id=marker.project_id, id__gt=marker.id)
    )


def usages(found: QuerySet[Instance], period: Period) -> Iterator[ServerUsage]:
    """Yield what each of these servers used; one that still runs is counted until the period's end, as Nova does."""
    for key, name, project, flavor, vm_state, began, ended in found.values_list(*_COLUMNS).iterator():
        until = min(period.stop, ended) if ended else period.stop
        yield ServerUsage(
            instance_id=key,
            name=name,
            project_id=project,
            flavor=flavor["original_name"],
            vcpus=flavor["vcpus"],
            memory_mib=flavor["ram"],
            disk_gib=flavor["disk"] + flavor["ephemeral"],
            vm_state=vm_state,
            started_at=began,
            ended_at=ended,
            hours=max(0.0, (until - max(began, period.start)).total_seconds() / 3_600),
        )
