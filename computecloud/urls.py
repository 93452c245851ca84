"""Which URL belongs to which room."""

from importlib import import_module
from importlib.util import find_spec

from django.apps import apps
from django.contrib import admin
from django.urls import URLPattern, URLResolver, path

from computecloud.wire import discovery
from computecloud.wire.routes import Routes, mount, mount_with_projects
from computecloud.wire.services import COMPUTE, IDENTITY, IMAGE, NETWORK


def _of(room: str) -> Routes:
    """Return a room's routes; none while it is not installed or has no API."""
    if not apps.is_installed(room) or find_spec(f"{room}.api") is None or find_spec(f"{room}.api.urls") is None:
        return []
    routes: Routes = import_module(f"{room}.api.urls").urlpatterns
    return routes


urlpatterns: list[URLPattern | URLResolver] = [
    *mount_with_projects(COMPUTE, _of("instances")),
    *mount(IDENTITY, _of("identity")),
    *mount(IMAGE, _of("images")),
    *mount(NETWORK, _of("networking")),
    *discovery.urlpatterns,
    path("admin/", admin.site.urls),
]
handler400 = "computecloud.wire.faults.bad_request"
handler403 = "computecloud.wire.faults.forbidden"
handler404 = "computecloud.wire.faults.not_found"
handler500 = "computecloud.wire.faults.server_error"
