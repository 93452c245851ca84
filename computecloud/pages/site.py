"""The operators' site: Django's admin in the look of django-unfold, which brings all that it shows with it."""

from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.template.response import TemplateResponse

if TYPE_CHECKING:  # unfold has no types; its classes are Django's with more
    from django.contrib.admin import AdminSite as Base
else:
    from unfold.sites import UnfoldAdminSite as Base


class Site(Base):
    """The site that every room's admin.py registers with."""

    index_title = "How the cloud is"
    index_template = "pages/first.html"

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show how the cloud is."""
        from computecloud.pages import first

        shown = first.page() if request.user.has_perm("workers.view_operation") else None
        return super().index(request, {**(extra_context or {}), "first": shown})
