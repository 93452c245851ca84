"""Django's entry to this room."""

from django.apps import AppConfig


class InstancesConfig(AppConfig):
    """The room's name and key type."""

    name = "instances"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the workflows, and what this room does on a host."""
        import images.invariants
        from instances import audits, checks, on_host, selectors, workflows  # noqa: F401
        from instances.services import keypairs, repair  # noqa: F401
        from workers import again, ask, events, forsaken

        events.on("guest.power", on_host.follow_power)
        events.on("host.returns", on_host.clean_up)
        events.on("host.rebooted", on_host.resume_guests)
        events.on("port.addresses", on_host.show_addresses)
        again.register("instance", repair.ask_again)
        forsaken.register("instance", repair.give_up)
        ask.register("console", on_host.console)
        ask.register("diagnostics", on_host.diagnostics)
        ask.register("uptime", on_host.uptime)
        images.invariants.used_by(selectors.images_on_host)
