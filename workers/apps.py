"""Django's entry to this room."""

from django.apps import AppConfig


class WorkersConfig(AppConfig):
    """The room's name and key type."""

    name = "workers"
    default_auto_field = "django.db.models.BigAutoField"
