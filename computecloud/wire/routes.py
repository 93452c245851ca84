"""Where a service's routes stand: with and without the project's id in the path."""

from collections.abc import Sequence

from django.urls import URLPattern, URLResolver, include, path, register_converter
from django.urls.converters import StringConverter

from computecloud.wire.services import Service

Routes = Sequence[URLPattern | URLResolver]


class ProjectIdConverter(StringConverter):
    """A project's id in the path: hexadecimal digits and dashes, so that it is never taken for a collection."""

    regex = r"[0-9a-f\-]{1,64}"


register_converter(ProjectIdConverter, "project_id")


def mount(service: Service, routes: Routes) -> list[URLResolver]:
    """Return the routes below the service's version root."""
    root = f"{service.prefix}/{service.root}/" if service.root else f"{service.prefix}/"
    return [path(root, include(list(routes)))]


def mount_with_projects(service: Service, routes: Routes) -> list[URLResolver]:
    """Return the routes below each version root, also with the project's id before them."""
    return [
        path(f"{service.prefix}/{root}/{between}", include(list(routes)))
        for root in (service.root, service.legacy_root)
        if root
        for between in ("", "<project_id:path_project_id>/")
    ]
