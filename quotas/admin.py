"""Quotas in the operators' pages."""

from django.contrib import admin

from quotas.models import Charge, ProjectUsage


@admin.register(ProjectUsage)
class ProjectUsageAdmin(admin.ModelAdmin[ProjectUsage]):
    """Limits may be changed; what is taken is the engine's."""

    list_display = [
        "project_id", "instances", "instances_limit", "cores", "cores_limit", "ram_mib", "ram_mib_limit"
    ]  # fmt: skip
    search_fields = ["project_id"]
    readonly_fields = ["instances", "cores", "ram_mib"]


@admin.register(Charge)
class ChargeAdmin(admin.ModelAdmin[Charge]):
    """What each consumer takes."""

    list_display = ["consumer_id", "project_id", "instances", "cores", "ram_mib"]
    list_filter = ["project_id"]
    search_fields = ["consumer_id", "project_id"]

    def has_change_permission(self, *_: object) -> bool:
        """Charges are changed by their consumers alone."""
        return False

    has_add_permission = has_delete_permission = has_change_permission  # type: ignore[assignment]
