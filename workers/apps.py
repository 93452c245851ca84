"""Django's entry to this room."""

from django.apps import AppConfig


class WorkersConfig(AppConfig):
    """The room's name and key type; the tasks are known wherever something may be published."""

    name = "workers"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Make the tasks known to the Celery app."""
        from computecloud import celery  # noqa: F401 — current_app must be ours
        from workers import (  # noqa: F401
            archive,
            audits,
            checks,
            events,
            expiry,
            figures,
            recovery,
            tasks,
        )

        recovery.register_periodic("workers.archive", archive.run)
        recovery.register_periodic("workers.audits", audits.ring)
        events.on("host.echo", audits.run_due)
