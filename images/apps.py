"""Django's entry to this room."""

from django.apps import AppConfig


class ImagesConfig(AppConfig):
    """The room's name and key type; its invariants are known wherever doctor may run."""

    name = "images"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register what must be true of images."""
        from images import invariants  # noqa: F401
