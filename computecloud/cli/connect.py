"""Where an installation's APIs are, and a client of them."""

import ssl
from pathlib import Path

from computecloud.cli.client import Client
from computecloud.cli.credentials import passwords
from computecloud.cli.failures import Failure
from computecloud.cli.installation import Installation


def base_url(settings: dict[str, str]) -> str:
    """Return where clients reach the APIs."""
    scheme = "https" if settings.get("WEB_TLS_CERTIFICATE") else "http"
    return (
        settings.get("PUBLIC_URL") or f"{scheme}://{_reachable(settings['WEB_HOST'])}:{settings['WEB_PORT']}"
    )


def client(installation: Installation, settings: dict[str, str], user: str) -> Client:
    """Return a client that is logged in as one of the first users."""
    return Client(
        host=_reachable(settings["WEB_HOST"]),
        port=int(settings["WEB_PORT"]),
        user=user,
        password=passwords(installation).of(user),
        log=installation.log / "web.log",
        tls=_tls(settings),
    )


def _tls(settings: dict[str, str]) -> ssl.SSLContext | None:
    """Return how the web server's certificate is checked; raises Failure where a file of the settings is not there."""
    if not settings.get("WEB_TLS_CERTIFICATE"):
        return None
    for name in ("WEB_TLS_CERTIFICATE", "WEB_TLS_KEY", "WEB_TLS_AUTHORITY"):
        path = settings.get(name, "")
        if not (Path(path).is_file() or (name == "WEB_TLS_AUTHORITY" and not path)):
            raise Failure(
                f"COMPUTECLOUD_{name} names no file: {path!r}", advice="give the path of a PEM file"
            )
    return ssl.create_default_context(cafile=settings.get("WEB_TLS_AUTHORITY") or None)


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("", "0.0.0.0") else host  # noqa: S104 — compared, not bound
