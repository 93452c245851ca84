"""Django's entry to this room."""

from django.apps import AppConfig


class SchedulingConfig(AppConfig):
    """The room's name and key type, and what it hears of hosts."""

    name = "scheduling"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Report nodes when a host is taken, and whenever its audit is due."""
        from scheduling import audit, explanation, figures, report  # noqa: F401
        from workers import events

        events.on("host.taken", report.report)
