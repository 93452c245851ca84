"""What projects used, and Nova's log of usage audits, which are not run here."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpResponseBase
from rest_framework.request import Request

from computecloud.wire.errors import Forbidden, InvalidInput
from computecloud.wire.paging import Page
from instances import policies, usage
from instances.api.base import ComputeView
from instances.api.compute_services import moment
from instances.api.queries import UsageQuery
from instances.models import Instance
from instances.selectors import as_uuid
from instances.usage import Period, ServerUsage
from workers.models import Host

_USAGE = "os_compute_api:os-simple-tenant-usage:"
_AUDITS = "os_compute_api:os-instance-usage-audit-log:"


class UsageViews(ComputeView):
    """What the views of usage share."""

    def asked(
        self, project_id: str | None, now: datetime
    ) -> tuple[Period, list[ServerUsage], list[dict[str, str]], bool]:
        """Return the period, what servers used in it, the link to those after them, and whether details are asked."""
        query = self.query(UsageQuery)
        period = Period(start=query.get("start", now), stop=query.get("end", now))
        if query.keys() & {"start", "end"} and period.start >= period.stop:
            raise InvalidInput("Invalid start time. The start time cannot occur after the end time.")
        found = usage.ran(period, project_id=project_id)
        page, after = Page(), []
        if self.behaves("usage_pages"):
            page = self.page(query)
            if page.marker is not None:
                found = usage.after(found, _marked(page.marker, project_id))
            found = found[: page.limit]
        used = list(usage.usages(found, period))
        if self.behaves("usage_pages"):
            after = [dict(link) for link in self.next_links(page, [one.instance_id for one in used])]
        return period, used, after, query.get("detailed") == "1"


class UsagesView(UsageViews):
    """GET /os-simple-tenant-usage."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List what each project used in a period."""
        self.enforce(_USAGE + "list")
        now = datetime.now(UTC)
        period, used, after, detailed = self.asked(None, now)
        by_project: dict[str, list[ServerUsage]] = {}
        for one in used:
            by_project.setdefault(one.project_id, []).append(one)
        body: dict[str, Any] = {
            "tenant_usages": [
                _summary(project_id, servers, period) | (_details(servers, now) if detailed else {})
                for project_id, servers in by_project.items()
            ]
        }
        return self.answer(body | ({"tenant_usages_links": after} if after else {}))


class UsageView(UsageViews):
    """GET /os-simple-tenant-usage/{project}."""

    def get(self, _request: Request, tenant_id: str) -> HttpResponseBase:
        """Show what a project used in a period, server by server."""
        self.enforce(_USAGE + "show")
        if not self.caller.is_admin and tenant_id != self.project_id:
            raise Forbidden(policies.refusal(_USAGE + "show"))
        now = datetime.now(UTC)
        period, used, after, _detailed = self.asked(tenant_id, now)
        shown = _summary(tenant_id, used, period) | _details(used, now) if used else {}
        body: dict[str, Any] = {"tenant_usage": shown}
        return self.answer(body | ({"tenant_usage_links": after} if after else {}))


def _marked(marker: str, project_id: str | None) -> Instance:
    """Return the server that a marker names, of the project alone where one is asked for; raises InvalidInput."""
    key = as_uuid(marker)
    seen = Instance.objects.all() if project_id is None else Instance.objects.filter(project_id=project_id)
    found = seen.filter(id=key).first() if key else None
    if found is None:
        raise InvalidInput(f"marker [{marker}] not found")
    return found


def _summary(project_id: str, servers: Iterable[ServerUsage], period: Period) -> dict[str, Any]:
    used = list(servers)
    return {
        "tenant_id": project_id,
        "start": moment(period.start),
        "stop": moment(period.stop),
        "total_hours": sum(one.hours for one in used),
        "total_vcpus_usage": sum(one.vcpus * one.hours for one in used),
        "total_memory_mb_usage": sum(one.memory_mib * one.hours for one in used),
        "total_local_gb_usage": sum(one.disk_gib * one.hours for one in used),
    }


def _details(servers: Iterable[ServerUsage], now: datetime) -> dict[str, Any]:
    return {
        "server_usages": [
            {
                "instance_id": one.instance_id,
                "name": one.name,
                "tenant_id": one.project_id,
                "flavor": one.flavor,
                "vcpus": one.vcpus,
                "memory_mb": one.memory_mib,
                "local_gb": one.disk_gib,
                "state": "terminated" if one.ended_at else one.vm_state,
                "started_at": moment(one.started_at),
                "ended_at": moment(one.ended_at),
                "uptime": int(((one.ended_at or now) - one.started_at).total_seconds()),
                "hours": one.hours,
            }
            for one in servers
        ]
    }


class UsageAuditLogsView(ComputeView):
    """GET /os-instance_usage_audit_log."""

    def get(self, _request: Request) -> HttpResponseBase:
        """Tell which hosts audited the usage of last month: none, as in Nova where that is not switched on."""
        self.no_query()
        self.enforce(_AUDITS + "list")
        return self.answer({"instance_usage_audit_logs": _not_audited(datetime.now(UTC))})


class UsageAuditLogView(ComputeView):
    """GET /os-instance_usage_audit_log/{before}."""

    def get(self, _request: Request, before: str) -> HttpResponseBase:
        """Tell the same of the last month that ended before a moment."""
        self.no_query()
        self.enforce(_AUDITS + "show")
        return self.answer({"instance_usage_audit_log": _not_audited(_before(before))})


def _before(text: str) -> datetime:
    layout = "%Y-%m-%d %H:%M:%S.%f" if "." in text else "%Y-%m-%d %H:%M:%S"
    try:
        return datetime.strptime(text, layout).replace(tzinfo=UTC)
    except ValueError:
        raise InvalidInput(f"Invalid timestamp for date {text[:64]}") from None


def _not_audited(before: datetime) -> dict[str, Any]:
    ending = before.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if ending.year == 1 and ending.month == 1:
        raise InvalidInput(f"Invalid timestamp for date {before}")
    beginning = (ending - timedelta(days=1)).replace(day=1)
    hosts = list(Host.objects.order_by("name").values_list("name", flat=True))
    return {
        "period_beginning": _plain(beginning),
        "period_ending": _plain(ending),
        "num_hosts": len(hosts),
        "num_hosts_done": 0,
        "num_hosts_running": 0,
        "num_hosts_not_run": len(hosts),
        "hosts_not_run": hosts,
        "total_instances": 0,
        "total_errors": 0,
        "overall_status": f"0 of {len(hosts)} hosts done. 0 errors.",
        "log": {},
    }


def _plain(at: datetime) -> str:
    return str(at.replace(tzinfo=None))
