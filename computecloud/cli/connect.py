"""Where an installation's APIs are, and a client of them."""

from computecloud.cli.client import Client
from computecloud.cli.credentials import passwords
from computecloud.cli.installation import Installation


def base_url(settings: dict[str, str]) -> str:
    """Return where clients reach the APIs."""
    return settings.get("PUBLIC_URL") or f"http://{_reachable(settings['WEB_HOST'])}:{settings['WEB_PORT']}"


def client(installation: Installation, settings: dict[str, str], user: str) -> Client:
    """Return a client that is logged in as one of the first users."""
    return Client(
        host=_reachable(settings["WEB_HOST"]),
        port=int(settings["WEB_PORT"]),
        user=user,
        password=passwords(installation).of(user),
        log=installation.log / "web.log",
    )


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("", "0.0.0.0") else host  # noqa: S104 — compared, not bound
