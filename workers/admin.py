"""The engine in the operators' pages: hosts may be disabled, everything else is read only."""

from typing import Any
from urllib.parse import quote

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.text import Truncator

from computecloud.pages import panels
from computecloud.pages.acts import Act, Asked
from computecloud.pages.panels import SHOWN, Panel
from computecloud.pages.rows import InlineRows, ReadOnlyAdmin, ReadOnlyRows, Rows
from computecloud.pages.shown import badge, link, since
from workers import again, audits, cancel, history, hosts, hurry, selectors, waiting
from workers.models import (
    ACTIVE,
    ArchivedOperation,
    AuditRun,
    AuditSchedule,
    Finding,
    Footprint,
    Host,
    Operation,
    State,
    StepRun,
    Subject,
)


def _enable(host: Host, _asked: Asked) -> str:
    hosts.enable(name=host.name)
    return f"Host {host} takes new guests."


def _disable(host: Host, asked: Asked) -> str:
    hosts.disable(name=host.name, reason=asked.reason)
    return f"Host {host} takes no new guests."


def _force_down(host: Host, asked: Asked) -> str:
    hosts.force_down(name=host.name, reason=asked.reason)
    return f"Host {host} counts as down."


def _let_up(host: Host, _asked: Asked) -> str:
    hosts.let_up(name=host.name)
    return f"Host {host} counts as up again once its worker is heard."


def _audit_here(host: Host, asked: Asked) -> str:
    on_host = [audit.name for audit in audits.registered().values() if audit.on_host]
    for name in on_host:
        audits.ask(name, by=asked.by, host=host.name)
    return f"Host {host} is audited now: {', '.join(on_host)}."


class HostChanges(ChangeList):
    """A page of hosts, each with what is counted of it: read for all of the page at once."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page."""
        super().get_results(request)
        shown: Any = self.result_list
        counts = hosts.counts(host.name for host in shown)
        for host in shown:
            host.counts = counts[host.name]


@admin.register(Host)
class HostAdmin(ReadOnlyAdmin):
    """Hosts: what each does, and whether it takes new guests."""

    list_display = [
        "name",
        "shown_state",
        "takes_guests",
        "node_count",
        "active",
        "left",
        "heartbeat_at",
        "worker",
    ]
    list_filter = ["alive", "enabled", "forced_down"]
    search_fields = ["name", "disabled_reason"]
    fields = [
        ("name", "shown_state"),
        ("takes_guests", "heartbeat_at"),
        ("worker", "epoch"),
        ("echo_sent", "echo_heard"),
        ("counter", "silent_s"),
        ("boot_id", "created_at"),
    ]
    acts = [
        Act("enable", "Enable", "It takes new guests again.", _enable, applies=lambda host: not host.enabled),
        Act(
            "disable",
            "Disable",
            "It takes no new guests; those that it has go on.",
            _disable,
            asks="Why does it take no new guests?",
            applies=lambda host: host.enabled,
        ),
        Act(
            "force-down",
            "Force down",
            "Do this only when you know that it is off. What waits for it goes on without it.",
            _force_down,
            asks="How do you know that it is off?",
            applies=lambda host: not host.forced_down,
        ),
        Act(
            "let-up",
            "No longer force down",
            "It counts as up again when its worker is heard.",
            _let_up,
            applies=lambda host: host.forced_down,
        ),
        Act("audit", "Run its audits now", "Each audit of hosts is run on it.", _audit_here),
    ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return how its pages are read."""
        del request, kwargs
        return HostChanges

    @admin.display(description="state", ordering="alive")
    def shown_state(self, host: Host) -> str:
        """Return whether it is up, coloured."""
        return badge("up" if host.is_up else "forced down" if host.forced_down else "down")

    @admin.display(description="takes guests", ordering="enabled")
    def takes_guests(self, host: Host) -> str:
        """Return whether it takes new guests, and why not."""
        return badge("yes") if host.enabled else format_html("{} {}", badge("disabled"), host.disabled_reason)

    @admin.display(description="nodes")
    def node_count(self, host: Any) -> int:
        """Return how many nodes it reports."""
        return int(host.counts.nodes)

    @admin.display(description="at work")
    def active(self, host: Any) -> int:
        """Return how many operations are active on it."""
        return int(host.counts.active)

    @admin.display(description="footprints")
    def left(self, host: Any) -> int:
        """Return how many footprints it has."""
        return int(host.counts.footprints)


class StepRunInline(InlineRows[StepRun, Operation]):
    """What was tried, in order."""

    model = StepRun
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


def _cancel(operation: Operation, asked: Asked) -> str:
    now = cancel.cancel(operation.id, by=asked.by)
    return f"{now} is cancelled; it is {now.state}."


def _retry(operation: Operation, asked: Asked) -> str:
    if operation.state == State.FAILED:
        return f"{again.ask(operation, by=asked.by)} was accepted in the place of {operation.id}."
    return f"{hurry.retry_now(operation.id)} is tried now."


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin):
    """What was asked for and how far it is; what is under way may be cancelled."""

    list_display = [
        "created_at",
        "kind",
        "subject_id",
        "shown_state",
        "step",
        "waits",
        "host",
        "project_id",
        "short_error",
    ]
    list_filter = ["state", "kind", "host", "created_at"]
    search_fields = ["id", "subject_id", "request_id", "project_id"]
    show_full_result_count = False  # there may be a million
    inlines = [StepRunInline]
    acts = [
        Act(
            "retry",
            "Retry",
            "One that waits is tried now; one that failed is asked for once more.",
            _retry,
            applies=lambda operation: operation.state in (*ACTIVE, State.FAILED),
        ),
        Act(
            "cancel",
            "Cancel",
            "What it did is undone.",
            _cancel,
            applies=lambda operation: operation.state in ACTIVE,
        ),
    ]
    fields = [  # first what became of it, then of what it is, then how the engine keeps it
        ("kind", "shown_state"),
        "error",
        ("step", "waits"),
        ("subject_type", "subject_id"),
        ("host", "request_id"),
        ("project_id", "user_id"),
        ("created_at", "finished_at"),
        "params",
        "results",
        ("cursor", "attempt"),
        ("round", "rings"),
        ("lease_worker", "admitted"),
        ("cancelled_by", "waits_for"),
        "updated_at",
    ]
    readonly_fields = ["step", "waits"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that knows why operations wait."""
        return OperationChanges

    @admin.display(description="state", ordering="state")
    def shown_state(self, operation: Operation) -> str:
        """Return the state, coloured."""
        return badge(operation.state)

    @admin.display(description="error")
    def short_error(self, operation: Operation) -> str:
        """Return the beginning of the error."""
        return Truncator(operation.error).chars(80)

    @admin.display(description="step")
    def step(self, operation: Operation) -> str:
        """Return the name of the step that is next, or running."""
        return selectors.step_of(operation) or ""

    @admin.display(description="waits for")
    def waits(self, operation: Operation) -> str:
        """Return why it does not run at this moment."""
        why = operation.why if hasattr(operation, "why") else waiting.of(operation)
        return why.reason if why else ""

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


def _run_now(schedule: AuditSchedule, asked: Asked) -> str:
    return audits.ask(schedule.name, by=asked.by).capitalize() + "."


@admin.register(AuditSchedule)
class AuditScheduleAdmin(Rows[AuditSchedule]):
    """When each audit is due."""

    list_display = ["name", "about", "where", "every_s", "enabled", "rung", "rung_by"]
    list_editable = ["every_s", "enabled"]
    search_fields = ["name"]
    fields = ["name", "about", "where", "every_s", "enabled", "rung", "rung_by"]
    readonly_fields = ["name", "about", "where", "rung", "rung_by"]
    acts = [Act("run", "Run now", "Audits of hosts run on every host that is up.", _run_now)]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditSchedule]:
        """Return the rows of the audits that there are."""
        audits.schedules()
        return super().get_queryset(request).filter(name__in=audits.registered())

    def has_add_permission(self, request: HttpRequest) -> bool:
        """An audit comes with its room."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """One that is not wanted is switched off."""
        return False

    @admin.display(description="what it does")
    def about(self, schedule: AuditSchedule) -> str:
        """Return what the audit does."""
        return audits.get(schedule.name).title

    @admin.display(description="where")
    def where(self, schedule: AuditSchedule) -> str:
        """Return where it runs."""
        return "each host" if audits.get(schedule.name).on_host else "control"

    @admin.display(description="last rung for")
    def rung(self, schedule: AuditSchedule) -> str:
        """Return how long ago it was rung for."""
        return f"{since(schedule.rung_at)} ago" if schedule.rung_at else "never"


class FindingInline(ReadOnlyRows, InlineRows[Finding, AuditRun]):
    """What was found."""

    model = Finding
    fields = readonly_fields = ("what", "cause", "mended", "advice", "subject")


@admin.register(AuditRun)
class AuditRunAdmin(ReadOnlyAdmin):
    """What audits did: the last quiet run of each, and every run that found something."""

    list_display = ["started_at", "audit", "host", "shown_state", "found", "mended", "why", "said"]
    list_filter = ["audit", "state", "host", "started_at"]
    search_fields = ["audit", "host", "why", "said", "findings__what"]
    inlines = [FindingInline]

    @admin.display(description="state", ordering="state")
    def shown_state(self, run: AuditRun) -> str:
        """Return the state, coloured."""
        return badge(run.state)


@admin.register(Finding)
class FindingAdmin(ReadOnlyAdmin):
    """What differed, why, and whether it was put right."""

    list_display = ["created_at", "audit", "what", "cause", "mended", "advice", "subject"]
    list_filter = ["audit", "mended", "created_at"]
    search_fields = ["subject", "what", "cause"]


def _operations_of(host: Host) -> Panel:
    found = list(Operation.objects.filter(host=host.name).order_by("-created_at")[:SHOWN])
    reasons = waiting.of_many(found)
    rows = [
        (
            link("workers_operation", one.pk, f"{one.created_at:%Y-%m-%d %H:%M:%S}"),
            one.kind,
            one.subject_id,
            badge(one.state),
            reasons[one.id].reason if one.id in reasons else Truncator(one.error).chars(120),
        )
        for one in found
    ]
    address = f"{reverse('admin:workers_operation_changelist')}?host={quote(host.name)}"
    return Panel(
        "Operations", ("accepted", "kind", "subject", "state", "waits, or failed"), rows, link=address
    )


def _footprints_of(host: Host) -> Panel:
    found = Footprint.objects.filter(host=host.name).order_by("subject_id", "id")[:SHOWN]
    rows = [(one.subject_id, one.kind, one.name, one.state, one.step) for one in found]
    address = f"{reverse('admin:workers_footprint_changelist')}?host={quote(host.name)}"
    return Panel(
        "Footprints", ("subject", "kind", "name", "state", "step"), rows, "It keeps nothing.", address
    )


def _audits_of(host: Host) -> Panel:
    found = AuditRun.objects.filter(host=host.name)[:SHOWN]
    rows = [
        (
            link("workers_auditrun", one.pk, f"{one.started_at:%Y-%m-%d %H:%M:%S}"),
            one.audit,
            badge(one.state),
            one.found,
            one.mended,
            one.said,
        )
        for one in found
    ]
    return Panel("Audits", ("began", "audit", "state", "found", "mended", "said"), rows, "None ran here yet.")


for _place, _panel in enumerate((_operations_of, _footprints_of, _audits_of), start=3):
    panels.add("workers.Host", _panel, place=_place)
