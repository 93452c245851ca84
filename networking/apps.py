"""Django's entry to this room."""

from django.apps import AppConfig


class NetworkingConfig(AppConfig):
    """The room's name and key type; its invariants are known wherever doctor may run, and its hosts mend themselves."""

    name = "networking"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register what must be true of networks, and follow what changes when a host is taken and as echoes come."""
        from networking import audit, invariants  # noqa: F401
        from networking.services import spreading
        from workers import events

        events.on("host.taken", audit.mend_taken)
        events.on("host.echo", audit.follow)
        events.on(spreading.EVENT, audit.follow)
