"""Which requests are a browser's: they get pages, at the APIs' own addresses too; everybody else gets the APIs."""

import re

from django.http import HttpRequest, HttpResponseBase

from computecloud.wire.middleware import GetResponse

URLS = "computecloud.browse.urls"
PREFIX = "/browse/"
_PAGES = re.compile(
    r"/|/operations/[^/]*|/(?:compute/v2\.1|identity/v3|image/v2|network/v2\.0)/[^/].*", re.DOTALL
)


class BrowserMiddleware:
    """Gives a browser the map of the pages; a request with a token, or that asks for no page, is left as it is."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request by the map that is for who asks."""
        if request.path_info.startswith(PREFIX) or is_browser(request):
            request.urlconf = URLS
        return self._get_response(request)


def is_browser(request: HttpRequest) -> bool:
    """Tell whether somebody without a token asks for a page at an address that has one."""
    return (
        "HTTP_X_AUTH_TOKEN" not in request.META
        and "text/html" in request.META.get("HTTP_ACCEPT", "")
        and request.method in ("GET", "HEAD")
        and _PAGES.fullmatch(request.path_info) is not None
    )
