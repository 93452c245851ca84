"""Quotas in the operators' pages."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from computecloud.pages.rows import ReadOnlyAdmin, Rows
from quotas import services
from quotas.models import COUNTED, LIMITED, Charge, ProjectUsage, QuotaClass, Tally

_COLUMNS = {f"{name}_limit": name for name in LIMITED}


def _changed(form: Any) -> dict[str, int | None]:
    """Return the limits that a form changes, by resource; None is one that was emptied."""
    return {_COLUMNS[column]: form.cleaned_data[column] for column in form.changed_data if column in _COLUMNS}


@admin.register(QuotaClass)
class QuotaClassAdmin(Rows[QuotaClass]):
    """The limits of every project that has none of its own."""

    list_display = ["name", "instances_limit", "cores_limit", "ram_mib_limit"]
    fields = ["name", *_COLUMNS]
    readonly_fields = ["name"]

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """There is one row."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """It stays."""
        return False

    def save_model(self, _request: HttpRequest, _row: QuotaClass, form: Any, _change: bool) -> None:
        """Set the limits that were changed."""
        services.set_defaults(
            **{name: amount for name, amount in _changed(form).items() if amount is not None}
        )


@admin.register(ProjectUsage)
class ProjectUsageAdmin(Rows[ProjectUsage]):
    """A project's own limits may be changed, below what is used too; what is taken is the engine's."""

    list_display = [
        "project_id", "instances", "instances_limit", "cores", "cores_limit", "ram_mib", "ram_mib_limit",
        "server_groups", "server_groups_limit",
    ]  # fmt: skip
    empty_value_display = "default"
    search_fields = ["project_id"]
    fields = ["project_id", *COUNTED, *_COLUMNS]
    readonly_fields = [*COUNTED]

    def save_model(self, _request: HttpRequest, row: ProjectUsage, form: Any, _change: bool) -> None:
        """Set the limits that were changed, and nothing else: what is taken goes on being counted meanwhile."""
        services.set_limits(row.project_id, force=True, **_changed(form))

    def has_delete_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """What is taken is counted there."""
        return False

    def get_readonly_fields(self, _request: HttpRequest, row: ProjectUsage | None = None) -> list[str]:
        """Have a project be named once."""
        return [*COUNTED] if row is None else ["project_id", *COUNTED]


@admin.register(Charge)
class ChargeAdmin(ReadOnlyAdmin):
    """What each consumer takes."""

    list_display = ["consumer_id", "project_id", "instances", "cores", "ram_mib", "server_groups"]
    list_filter = ["project_id"]
    search_fields = ["consumer_id", "project_id"]


@admin.register(Tally)
class TallyAdmin(ReadOnlyAdmin):
    """What users have that is counted one by one."""

    list_display = ["resource", "owner", "used"]
    list_filter = ["resource"]
    search_fields = ["owner"]
