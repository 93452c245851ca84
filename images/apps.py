"""Django's entry to this room."""

from django.apps import AppConfig


class ImagesConfig(AppConfig):
    """The room's name and key type."""

    name = "images"
    default_auto_field = "django.db.models.BigAutoField"
