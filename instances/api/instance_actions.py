"""What was done to a server: the engine's ledger, in the Compute API's words."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.http import HttpResponseBase
from rest_framework.request import Request

from computecloud.wire.errors import InvalidInput, NotFound
from computecloud.wire.paging import Page
from instances import selectors
from instances.api.base import ComputeView
from instances.api.queries import ActionsQuery
from instances.api.server_view import host_id
from instances.models import Instance
from workers import history
from workers.history import Past, Run
from workers.models import State, StepRun

_RULE = "os_compute_api:os-instance-actions:"
_RESULTS = {
    StepRun.Outcome.SUCCESS.value: "Success",
    StepRun.Outcome.ERROR.value: "Error",
    StepRun.Outcome.LOST.value: "Error",
}


def _moment(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f") if at else None


class ActionViews(ComputeView):
    """What both views of actions have."""

    def instance(self, server_id: str) -> Instance:
        """Return the server whose actions are meant; deleted ones are seen since 2.21."""
        if self.behaves("actions_of_deleted_servers"):
            return selectors.instance_or_deleted(server_id, self.caller)
        return selectors.instance(server_id, self.caller)

    def superset(self, operation: Past) -> dict[str, Any]:
        """Return all that any version shows of an action but its events."""
        return {
            "action": operation.kind,
            "instance_uuid": operation.subject_id,
            "message": "Error" if operation.state in {State.FAILED, State.UNDOING} else None,
            "project_id": operation.project_id,
            "request_id": operation.request_id,
            "start_time": _moment(operation.created_at),
            "updated_at": _moment(operation.finished_at or operation.updated_at),
            "user_id": operation.user_id,
        }


def _operations(instance: Instance) -> Q:
    return Q(subject_id=instance.id)


class InstanceActionsView(ActionViews):
    """GET /servers/{id}/os-instance-actions."""

    def get(self, _request: Request, server_id: str) -> HttpResponseBase:
        """List what was done to a server, newest first."""
        self.enforce(_RULE + "list")
        query = self.query(ActionsQuery)
        page = self.page(query)
        wanted = _wanted(_operations(self.instance(server_id)), query, page)
        operations = history.newest(wanted, limit=page.limit)
        project = self.edition.projection("action", "brief")
        body: dict[str, Any] = {"instanceActions": [project(self.superset(one)) for one in operations]}
        after = self.next_links(page, [one.request_id for one in operations])
        if after and self.behaves("action_pages"):
            body["links"] = after
        return self.answer(body)


def _wanted(found: Q, query: Mapping[str, Any], page: Page) -> Q:
    if since := query.get("changes_since"):
        found &= Q(updated_at__gte=since)
    if before := query.get("changes_before"):
        found &= Q(updated_at__lte=before)
    if page.marker is not None:
        at = history.find(found & Q(request_id=page.marker))
        if at is None:
            raise InvalidInput(f"marker [{page.marker}] not found")
        found &= history.after(at)
    return found


class InstanceActionView(ActionViews):
    """GET /servers/{id}/os-instance-actions/{request_id}."""

    def get(self, _request: Request, server_id: str, request_id: str) -> HttpResponseBase:
        """Show one thing that was done to a server, with the runs of its steps."""
        self.no_query()
        self.enforce(_RULE + "show")
        instance = self.instance(server_id)
        operation = history.find(_operations(instance) & Q(request_id=request_id))
        if operation is None:
            raise NotFound(f"Action for request_id {request_id} on instance {instance.id} not found")
        flags = frozenset(
            flag
            for flag, rule in (("events", "events"), ("details", "events:details"))
            if self.allows(_RULE + rule)
        )
        project = self.edition.projection("event", "show", flags)
        superset = self.superset(operation)
        superset["events"] = [project(_event(run, instance)) for run in history.runs(operation)]
        return self.answer({"instanceAction": self.project("action", "show", superset, flags)})


def _event(run: Run, instance: Instance) -> dict[str, Any]:
    return {
        "event": f"undo_{run.step}" if run.undo else run.step,
        "start_time": _moment(run.started_at),
        "finish_time": _moment(run.finished_at),
        "result": _RESULTS[run.outcome],
        "traceback": run.traceback or None,
        "host": run.host,
        "hostId": host_id(instance.project_id, run.host or None),
        "details": run.error or None,
    }
