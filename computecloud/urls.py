"""Which URL belongs to which room."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path

from computecloud.monitoring import health, scraping
from computecloud.openapi import views as openapi
from computecloud.wire import discovery
from computecloud.wire.routes import mount, mount_with_projects
from computecloud.wire.services import COMPUTE, IDENTITY, IMAGE, NETWORK, OPERATIONS
from identity.api.urls import urlpatterns as identity_routes
from images.api.urls import urlpatterns as image_routes
from instances.api.urls import urlpatterns as compute_routes
from networking.api.urls import urlpatterns as network_routes
from workers.api.urls import urlpatterns as operation_routes

urlpatterns: list[URLPattern | URLResolver] = [
    *mount_with_projects(COMPUTE, compute_routes),
    *mount(IDENTITY, identity_routes),
    *mount(IMAGE, image_routes),
    *mount(NETWORK, network_routes),
    *mount(OPERATIONS, operation_routes),
    *discovery.urlpatterns,
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", scraping.metrics),
    path("openapi/compute.json", openapi.compute),
    path("admin/", admin.site.urls),
]
handler400 = "computecloud.wire.faults.bad_request"
handler403 = "computecloud.wire.faults.forbidden"
handler404 = "computecloud.wire.faults.not_found"
handler500 = "computecloud.wire.faults.server_error"
