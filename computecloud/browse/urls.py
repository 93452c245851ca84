"""What a browser gets at which address: below /browse/ the pages' own, and pages at the addresses of the APIs."""

from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path

from computecloud.browse import account, anything, catalog, creation, keypairs, operations, servers, show

urlpatterns = [
    path("browse/", account.home),
    path("browse/login", account.log_in),
    path("browse/logout", account.log_out),
    path("browse/projects", account.projects),
    path("browse/servers/new", creation.create),
    path("browse/servers/<str:server_id>/act", servers.act),
    path("browse/servers/<str:server_id>/delete", servers.delete),
    path("browse/servers/<str:server_id>/console", servers.console),
    path("browse/keypairs/new", keypairs.create),
    path("browse/keypairs/<str:name>/delete", keypairs.delete),
    path("browse/operations/<str:operation_id>/cancel", operations.cancel),
    path("browse/operations/<str:operation_id>/events", operations.events),
    path("", account.home),
    path("compute/v2.1/servers", servers.listing),
    path("compute/v2.1/servers/detail", servers.listing),
    path("compute/v2.1/servers/<str:server_id>", servers.one),
    path("compute/v2.1/flavors", catalog.flavors),
    path("compute/v2.1/flavors/detail", catalog.flavors),
    path("compute/v2.1/flavors/<str:flavor_id>", catalog.flavor),
    path("compute/v2.1/os-keypairs", keypairs.listing),
    path("compute/v2.1/os-keypairs/<str:name>", keypairs.one),
    path("image/v2/images", catalog.images),
    path("image/v2/images/<str:image_id>", catalog.image),
    path("network/v2.0/networks", catalog.networks),
    path("network/v2.0/networks/<str:network_id>", catalog.network),
    path("operations/", operations.listing),
    path("operations/<str:operation_id>", operations.one),
    re_path(r"^(?:compute/v2\.1|identity/v3|image/v2|network/v2\.0)/[^/].*$", anything.anything),
]


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the page for an address that is none."""
    del exception
    return show.refused(request, 404, "There is no such page.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the page for what may not be done."""
    del exception
    return show.refused(request, 403, "You may not do this.")


handler404 = "computecloud.browse.urls.not_found"
handler403 = "computecloud.browse.urls.forbidden"
handler500 = "computecloud.wire.faults.server_error"
handler400 = "computecloud.wire.faults.bad_request"
