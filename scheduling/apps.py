"""Django's entry to this room."""

from django.apps import AppConfig


class SchedulingConfig(AppConfig):
    """The room's name and key type."""

    name = "scheduling"
    default_auto_field = "django.db.models.BigAutoField"
