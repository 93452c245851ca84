"""Django's entry to this room."""

from django.apps import AppConfig


class NetworkingConfig(AppConfig):
    """The room's name and key type."""

    name = "networking"
    default_auto_field = "django.db.models.BigAutoField"
