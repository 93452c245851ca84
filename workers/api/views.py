"""Operations over HTTP: a project's own, and every project's for admins."""

from typing import Any

from django.http import HttpResponseBase
from rest_framework.request import Request

from computecloud.wire import fields
from computecloud.wire.errors import Forbidden
from computecloud.wire.serializers import StrictSerializer
from computecloud.wire.services import OPERATIONS
from computecloud.wire.views import ApiView
from identity import policy
from workers import cancel, selectors
from workers.api import documents, pages
from workers.selectors import Group, Wanted

MAX_LIMIT = 1_000


class OperationsQuery(StrictSerializer):
    """What GET /operations/ takes; the last three are for admins."""

    limit = fields.Integer(min_value=0, required=False)
    marker = fields.Uuid(required=False)
    state = fields.Choice([group.value for group in Group], required=False)
    kind = fields.Text(max_length=64, required=False)
    server = fields.Uuid(required=False)
    host = fields.Text(max_length=255, required=False)
    project = fields.Identifier(required=False)
    all_projects = fields.Boolean(required=False)


class OperationApiView(ApiView):
    """What the views share: readers read, members cancel; browsers get a page."""

    service = OPERATIONS
    needs_project = False  # an operator in a browser has none

    def get_authenticators(self) -> list[Any]:
        """Ask for a token; without one, for an operator's session."""
        asked = super().get_authenticators()
        has_token = "X-Auth-Token" in self._plain.headers
        return asked if has_token else [pages.OperatorAuthentication(), *asked]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Answer a browser with a page, anybody else with JSON."""
        if pages.is_asked_for(self._plain.headers.get("Accept", "")):
            return pages.Page(), pages.Page.media_type
        return super().perform_content_negotiation(request, force)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse who may not do this."""
        super().initial(request, *args, **kwargs)
        policy.require(self.caller, policy.READER if request.method in ("GET", "HEAD") else policy.MEMBER)


class OperationsView(OperationApiView):
    """GET /operations/."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List operations, newest first, with what each waits for."""
        query = self.query(OperationsQuery)
        page = self.page({"limit": query.get("limit")}, MAX_LIMIT)
        if not self.caller.is_admin and {"host", "project", "all_projects"} & query.keys():
            raise Forbidden("Only admins ask for hosts and for other projects.")
        in_no_project = self.caller.is_admin and self.caller.project_id is None
        everybody = in_no_project or bool({"host", "all_projects"} & query.keys())
        project = query.get("project") or (None if everybody else self.project_id)
        found = selectors.operations(
            Wanted(
                group=Group(query.get("state", Group.ALL)),
                project_id=project,
                subject_id=query.get("server"),
                host=query.get("host"),
                kind=query.get("kind"),
                marker=query.get("marker"),
                limit=page.limit,
            )
        )
        body: dict[str, Any] = {
            "operations": [documents.operation(one, inside=self.caller.is_admin) for one in found]
        }
        if after := self.next_links(page, [one.operation.id for one in found]):
            body["operations_links"] = after
        return self.answer(body)


class OperationView(OperationApiView):
    """GET /operations/{id}."""

    def get(self, _request: Request, operation_id: str) -> HttpResponseBase:
        """Show an operation with the runs of its steps."""
        found = selectors.operation(operation_id, self.caller)
        return self.answer({"operation": documents.detailed(found, inside=self.caller.is_admin)})


class CancelView(OperationApiView):
    """POST /operations/{id}/cancel."""

    def post(self, _request: Request, operation_id: str) -> HttpResponseBase:
        """Cancel an operation; what it did is undone, which may take a while."""
        found = selectors.operation(operation_id, self.caller)
        now = cancel.cancel(found.id, by=f"user {self.caller.user_name}")
        return self.answer({"operation": documents.detailed(now, inside=self.caller.is_admin)}, status=202)
