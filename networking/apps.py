"""Django's entry to this room."""

from django.apps import AppConfig


class NetworkingConfig(AppConfig):
    """The room's name and key type; its invariants are known wherever doctor may run."""

    name = "networking"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register what must be true of networks."""
        from networking import invariants  # noqa: F401
