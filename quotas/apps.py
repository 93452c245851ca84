"""Django's entry to this room."""

from django.apps import AppConfig


class QuotasConfig(AppConfig):
    """The room's name and key type."""

    name = "quotas"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the invariants."""
        from quotas import checks  # noqa: F401
