"""Django's entry to this room."""

from django.apps import AppConfig


class SchedulingConfig(AppConfig):
    """The room's name and key type, and what it hears of hosts."""

    name = "scheduling"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Report nodes when a host is taken and as echoes come; audit capacity when beat says so."""
        from scheduling import audit, figures, report  # noqa: F401 — figures registers itself
        from workers import events, recovery

        events.on("host.taken", report.report)
        events.on("host.echo", report.report_if_due)
        recovery.register_periodic("scheduling.capacity_audit", audit.audit)
