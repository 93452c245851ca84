"""Django's entry to this room."""

from django.apps import AppConfig


class IdentityConfig(AppConfig):
    """The room's name and key type."""

    name = "identity"
    default_auto_field = "django.db.models.BigAutoField"
