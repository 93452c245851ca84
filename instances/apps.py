"""Django's entry to this room."""

from django.apps import AppConfig


class InstancesConfig(AppConfig):
    """The room's name and key type."""

    name = "instances"
    default_auto_field = "django.db.models.BigAutoField"
