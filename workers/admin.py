"""The engine in the operators' pages: hosts may be disabled, everything else is read only."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html_join

from computecloud.wire.errors import CloudError
from workers import cancel, history, selectors, waiting
from workers.models import ArchivedOperation, Footprint, Host, Mend, Operation, StepRun, Subject


class ReadOnlyRows:
    """Rows that are read here and changed elsewhere: by their engine, or through the API alone."""

    def has_add_permission(self, _request: HttpRequest, _parent: Any = None) -> bool:
        """Nobody adds one here."""
        return False

    def has_change_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """Nobody changes one here."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """Nobody deletes one here."""
        return False


class ReadOnlyAdmin(ReadOnlyRows, admin.ModelAdmin[Any]):
    """The page of such rows."""


@admin.register(Host)
class HostAdmin(admin.ModelAdmin[Host]):
    """Hosts: an operator enables, disables or forces one down."""

    list_display = ["name", "alive", "enabled", "forced_down", "epoch", "heartbeat_at", "worker"]
    list_filter = ["alive", "enabled", "forced_down"]
    search_fields = ["name"]
    fields = [
        "name",
        "enabled",
        "disabled_reason",
        "forced_down",
        "alive",
        "epoch",
        "counter",
        "worker",
        "heartbeat_at",
    ]
    readonly_fields = ["name", "alive", "epoch", "counter", "worker", "heartbeat_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A host is added by its own worker."""
        return False


class StepRunInline(admin.TabularInline[StepRun, Operation]):
    """What was tried, in order."""

    model = StepRun
    extra = 0
    can_delete = False
    readonly_fields = [
        "step",
        "undo",
        "attempt",
        "outcome",
        "host",
        "started_at",
        "finished_at",
        "error",
    ]


class OperationChanges(ChangeList):
    """A page of operations, each with why it waits: read for all of the page at once."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page."""
        super().get_results(request)
        shown: Any = self.result_list
        reasons = waiting.of_many(shown)
        for operation in shown:
            operation.why = reasons.get(operation.id)


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin):
    """What was asked for and how far it is; what is under way may be cancelled."""

    list_display = [
        "created_at",
        "kind",
        "subject_id",
        "state",
        "step",
        "waits",
        "host",
        "project_id",
        "error",
    ]
    list_filter = ["state", "kind", "host"]
    search_fields = ["subject_id", "request_id", "project_id"]
    show_full_result_count = False  # there may be a million
    inlines = [StepRunInline]
    actions = ["cancel"]
    readonly_fields = ["step", "waits"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that knows why operations wait."""
        return OperationChanges

    @admin.display(description="step")
    def step(self, operation: Operation) -> str:
        """Return the name of the step that is next, or running."""
        return selectors.step_of(operation) or ""

    @admin.display(description="waits for")
    def waits(self, operation: Operation) -> str:
        """Return why it does not run at this moment."""
        why = operation.why if hasattr(operation, "why") else waiting.of(operation)
        return why.reason if why else ""

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Tell whether this user may cancel operations."""
        return request.user.has_perm("workers.change_operation")

    @admin.action(description="Cancel, and undo what they did", permissions=["cancel"])
    def cancel(self, request: HttpRequest, chosen: QuerySet[Operation]) -> None:
        """Cancel what was chosen, and say of each what became of it."""
        for operation in chosen:
            try:
                now = cancel.cancel(operation.id, by=f"operator {request.user.get_username()}")
            except CloudError as error:
                self.message_user(request, error.message, messages.WARNING)
            else:
                self.message_user(request, f"{now} is cancelled; it is {now.state}.")

    def _get_obj_does_not_exist_redirect(
        self, request: HttpRequest, opts: Any, object_id: str
    ) -> HttpResponseRedirect:
        """Lead on to the archive, where an operation is that ended long ago."""
        if ArchivedOperation.objects.filter(pk=object_id).exists():
            return HttpResponseRedirect(reverse("admin:workers_archivedoperation_change", args=[object_id]))
        return super()._get_obj_does_not_exist_redirect(request, opts, object_id)  # type: ignore[misc,no-any-return]


@admin.register(ArchivedOperation)
class ArchivedOperationAdmin(ReadOnlyAdmin):
    """What ended long ago, with what was tried."""

    list_display = ["created_at", "kind", "subject_id", "state", "host", "project_id", "error"]
    list_filter = ["state", "kind", "host"]
    search_fields = ["subject_id", "request_id", "project_id"]
    show_full_result_count = False
    exclude = ["runs"]
    readonly_fields = ["steps"]

    @admin.display(description="steps")
    def steps(self, operation: ArchivedOperation) -> str:
        """Return the attempts at the steps, a line each."""
        lines = (
            (
                run.started_at.isoformat(sep=" ", timespec="milliseconds"),
                f"undo {run.step}" if run.undo else run.step,
                run.attempt,
                run.outcome,
                run.host,
                run.error,
            )
            for run in history.runs(operation)
        )
        return format_html_join("", "{} {}, attempt {}: {} {} {}<br>", lines)


@admin.register(Footprint)
class FootprintAdmin(ReadOnlyAdmin):
    """What operations have left, and where."""

    list_display = ["subject_id", "kind", "host", "name", "state", "created_at"]
    list_filter = ["kind", "state", "host"]
    search_fields = ["subject_id", "name"]


@admin.register(Subject)
class SubjectAdmin(ReadOnlyAdmin):
    """What operations lock."""

    list_display = ["id", "type", "epoch", "deleting", "holder"]
    list_filter = ["type", "deleting"]
    search_fields = ["id"]


@admin.register(Mend)
class MendAdmin(ReadOnlyAdmin):
    """What audits put right."""

    list_display = ["created_at", "audit", "subject", "what"]
    list_filter = ["audit"]
    search_fields = ["subject", "what"]
