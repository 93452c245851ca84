"""Django's entry to the operators' pages."""

from django.contrib.admin.apps import AdminConfig


class PagesConfig(AdminConfig):
    """Has the rooms' pages register with our site."""

    default_site = "computecloud.pages.site.Site"
