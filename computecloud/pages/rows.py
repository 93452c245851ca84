"""What the pages of every model share: the theme's look, a history of every action, rows that are only read here."""

from typing import TYPE_CHECKING, Any, TypeVar

from django.db.models import Model
from django.http import HttpRequest

from computecloud.pages.acts import Acting

if TYPE_CHECKING:  # unfold has no types; its classes are Django's with more
    from django.contrib.admin import ModelAdmin, TabularInline
else:
    from unfold.admin import ModelAdmin, TabularInline

M = TypeVar("M", bound=Model)
P = TypeVar("P", bound=Model)


class Rows(Acting, ModelAdmin[M]):
    """The pages of a model."""

    change_form_template = "pages/change_form.html"
    list_filter_submit = False
    compressed_fields = True
    warn_unsaved_form = False


class InlineRows(TabularInline[M, P]):
    """Rows that are shown on another's page."""

    extra = 0
    tab = False


class ReadOnlyRows:
    """Rows that are read here and changed elsewhere: by their engine, or through the API alone."""

    def has_add_permission(self, _request: HttpRequest, _parent: Any = None) -> bool:
        """Nobody adds one here."""
        return False

    def has_change_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """Nobody changes one here."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """Nobody deletes one here."""
        return False


class ReadOnlyAdmin(ReadOnlyRows, Rows[Any]):
    """The page of such rows."""
