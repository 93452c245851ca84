"""Django's entry to this room."""

from django.apps import AppConfig


class WorkersConfig(AppConfig):
    """The room's name and key type; the tasks are known wherever something may be published."""

    name = "workers"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Make the tasks known to the Celery app."""
        from computecloud import celery  # noqa: F401 — current_app must be ours
        from identity import tidying
        from workers import archive, checks, figures, idempotency, recovery, tasks  # noqa: F401

        recovery.register_periodic("workers.archive", archive.run)
        recovery.register_periodic("workers.idempotency_keys", idempotency.forget_old)
        recovery.register_periodic("identity.tidy", tidying.tidy)
