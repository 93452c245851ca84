"""The hosts' workers as compute services: listed, enabled, disabled, forced down, and removed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Min
from django.http import HttpResponseBase
from rest_framework.request import Request

from computecloud.config import CONFIG
from computecloud.wire.errors import InvalidInput, NotFound
from instances.api.base import ComputeView
from instances.api.operator_bodies import DISABLED, ENABLED, NamedService, UpdateService
from instances.api.queries import ServicesQuery
from instances.selectors import as_uuid
from instances.services import hosts as removal
from scheduling.models import Node
from workers import hosts
from workers.models import Host

BINARY = "nova-compute"
_RULE = "os_compute_api:os-services:"


def moment(at: datetime | None) -> str | None:
    """Return a moment as the Compute API writes those of services; None where there was none."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f") if at else None


def zone_of_hosts() -> dict[str, str]:
    """Return the zone of each host that has reported a node."""
    return dict(Node.objects.order_by("-number").values_list("host__name", "zone"))


def numbers_of_hosts() -> dict[UUID, int]:
    """Return the number of each host before 2.53: that of its first node, which stays the same."""
    return dict(Node.objects.values_list("host_id").annotate(first=Min("number")).order_by())


def _shown(host: Host, number: int, zone: str) -> dict[str, Any]:
    return {
        "id": host.id,
        "number": number,
        "binary": BINARY,
        "host": host.name,
        "zone": zone,
        "state": "up" if host.is_up else "down",
        "status": ENABLED if host.enabled else DISABLED,
        "disabled_reason": host.disabled_reason or None,
        "forced_down": host.forced_down,
        "updated_at": moment(host.heartbeat_at),
    }


class ServicesView(ComputeView):
    """GET /os-services."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List the hosts' workers as compute services."""
        self.enforce(_RULE + "list")
        query = self.query(ServicesQuery)
        found = Host.objects.order_by("created_at", "id")
        if "host" in query:
            found = found.filter(name=query["host"])
        if query.get("binary", BINARY) != BINARY:
            found = found.none()
        zones, numbers = zone_of_hosts(), numbers_of_hosts()
        project = self.edition.projection("service", "detail")
        listed = [
            project(_shown(host, numbers.get(host.id, 0), zones.get(host.name, CONFIG.zone)))
            for host in found
        ]
        return self.answer({"services": listed})


class ServiceView(ComputeView):
    """PUT and DELETE /os-services/{id}; before 2.53 the PUT's last word says what is done."""

    def put(self, _request: Request, service_id: str) -> HttpResponseBase:
        """Enable, disable or force down a host, or let it up again."""
        self.no_query()
        self.enforce(_RULE + "update")
        if not self.behaves("services_by_uuid"):
            return self.answer({"service": self._acted(service_id)})
        host = self._host(service_id)
        wanted = self.body(UpdateService)
        if wanted.get("status") == DISABLED:
            hosts.disable(name=host.name, reason=wanted.get("disabled_reason"))
        elif wanted.get("status") == ENABLED:
            hosts.enable(name=host.name)
        if "forced_down" in wanted:
            _force_down(host.name, wanted=wanted["forced_down"])
        after = hosts.find(host.name)
        zone = zone_of_hosts().get(after.name, CONFIG.zone)
        shown = _shown(after, numbers_of_hosts().get(after.id, 0), zone)
        return self.answer({"service": self.project("service", "detail", shown)})

    def delete(self, _request: Request, service_id: str) -> HttpResponseBase:
        """Forget a host that is down and has no servers."""
        self.no_query()
        self.enforce(_RULE + "delete")
        removal.remove(self._host(service_id))
        return self.answer(status=204)

    def _acted(self, action: str) -> dict[str, Any]:
        """Do what the address says to the host that the body names; returns what became of it."""
        if action not in _ACTIONS or not self.edition.has_route(self.route, action):
            raise NotFound("Unknown action")
        wanted = self.body(NamedService)
        name, binary = wanted["host"], wanted["binary"]
        if binary != BINARY:
            raise NotFound(f"Could not find binary {binary} on host {name}.")
        if missing := _ACTIONS[action] - wanted.keys():
            raise InvalidInput(_MISSING[missing.pop()])
        answer: dict[str, Any] = {"host": name, "binary": binary}
        if action == "enable":
            hosts.enable(name=name)
            return answer | {"status": ENABLED}
        if action == "force-down":
            _force_down(name, wanted=wanted["forced_down"])
            return answer | {"forced_down": wanted["forced_down"]}
        reason = wanted.get("disabled_reason") if action == "disable-log-reason" else None
        hosts.disable(name=name, reason=reason)
        return answer | {"status": DISABLED} | ({"disabled_reason": reason} if reason else {})

    def _host(self, service_id: str) -> Host:
        """Return the host with this id, a number before 2.53; raises NotFound, InvalidInput."""
        found = None
        if self.behaves("services_by_uuid"):
            key = as_uuid(service_id)
            if key is None:
                raise InvalidInput(f"Invalid uuid {service_id[:64]}")
            found = Host.objects.filter(id=key).first()
        elif service_id.isascii() and service_id.isdigit():
            ids = [key for key, number in numbers_of_hosts().items() if str(number) == service_id]
            found = Host.objects.filter(id__in=ids).first()
        if found is None:
            raise NotFound(f"Compute service {service_id[:64]} could not be found.")
        return found


# What PUT /os-services/… does before 2.53, and what its body must say for it.
_ACTIONS: dict[str, set[str]] = {
    "enable": set(),
    "disable": set(),
    "disable-log-reason": {"disabled_reason"},
    "force-down": {"forced_down"},
}
_MISSING = {
    "disabled_reason": "Missing disabled reason field",
    "forced_down": "Missing forced_down field",
}


def _force_down(name: str, *, wanted: bool) -> None:
    if wanted:
        hosts.force_down(name=name)
    else:
        hosts.let_up(name=name)
