"""Quotas in the operators' pages."""

from django.contrib import admin

from computecloud.pages.rows import ReadOnlyAdmin, Rows
from quotas.models import Charge, ProjectUsage


@admin.register(ProjectUsage)
class ProjectUsageAdmin(Rows[ProjectUsage]):
    """Limits may be changed; what is taken is the engine's."""

    list_display = [
        "project_id", "instances", "instances_limit", "cores", "cores_limit", "ram_mib", "ram_mib_limit"
    ]  # fmt: skip
    search_fields = ["project_id"]
    readonly_fields = ["instances", "cores", "ram_mib"]


@admin.register(Charge)
class ChargeAdmin(ReadOnlyAdmin):
    """What each consumer takes."""

    list_display = ["consumer_id", "project_id", "instances", "cores", "ram_mib"]
    list_filter = ["project_id"]
    search_fields = ["consumer_id", "project_id"]
