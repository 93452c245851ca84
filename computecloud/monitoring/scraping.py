"""/metrics, for a network or a token alone: route names and loads are nobody else's business."""

import ipaddress
import secrets

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from computecloud import metrics as counted
from computecloud.config import CONFIG


def metrics(request: HttpRequest) -> HttpResponse:
    """Answer a scrape in Prometheus's text form; 401 for others, 503 where the database is away."""
    if not may_scrape(request, token=CONFIG.metrics_token, networks=CONFIG.metrics_networks):
        refused = HttpResponse(
            "metrics are for COMPUTECLOUD_METRICS_NETWORKS, or with the token\n", status=401
        )
        refused["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return refused
    try:
        return HttpResponse(generate_latest(counted.scraped()), content_type=CONTENT_TYPE_LATEST)
    except DatabaseError:
        return HttpResponse("the database does not answer\n", status=503)


def may_scrape(request: HttpRequest, *, token: str, networks: str) -> bool:
    """Tell whether the asker is in one of the networks, or has the token.

    The address is the connection's own, never a header's: behind a proxy on this machine use the token, and no network.
    """
    given = request.headers.get("Authorization", "")
    if token and secrets.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return True
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(one.strip()) for one in networks.split(",") if one.strip())
