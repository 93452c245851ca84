"""What `up` says at its end: how the first server came up, how to log in, where everything is, what to try next."""

from pathlib import Path

from computecloud.cli.client import Refused
from computecloud.cli.connect import base_url, client
from computecloud.cli.hello import Hello, login
from computecloud.cli.installation import PREFIX, ROOT, Installation
from computecloud.cli.progress import Progress
from computecloud.cli.timeline import show as show_timeline

TRIES = (
    "bin/openstack server list",
    "bin/openstack server create --image demo --flavor m1.nano --key-name demo --network public --wait second",
    "bin/openstack console log show hello",
)


def show(
    progress: Progress,
    installation: Installation,
    settings: dict[str, str],
    server: Hello | None,
    *,
    booted: bool,
) -> None:
    """Print the report; server is None where the first server was deleted."""
    say = progress.say
    say()
    if server is None:
        say("The server hello was deleted; it is not made again.")
    elif booted:
        _timeline(progress, installation, settings, server)
    if server is not None and server.address:
        say(f"Log in to hello:  {login(server, installation)}")
    say(f"API:              {base_url(settings)}/identity/v3")
    say(
        f"Clouds:           computecloud (tenant demo), computecloud-admin in {_short(installation.clouds_file)}"
    )
    say(f"Pages:            {base_url(settings)}/ (user demo)")
    say(f"Admin:            {base_url(settings)}/admin/ (user admin)")
    say(f"Passwords, logs:  {_short(installation.passwords_file)}, {_short(installation.log)}/")
    say("Try next:")
    if not installation.is_default:
        say(f"  export {PREFIX}STATE_DIR={installation.state}")
    for line in TRIES:
        say(f"  {line}")
    say("Stop with bin/down.")


def _timeline(
    progress: Progress, installation: Installation, settings: dict[str, str], server: Hello
) -> None:
    try:
        show_timeline(client(installation, settings, "admin"), server.server_id, progress.console)
    except (Refused, LookupError):  # the server is up; its history is not worth a failure
        return
    ssh = f", SSH answers after {server.ssh_ms} ms" if server.ssh_ms else ""
    progress.say(f"ACTIVE {server.active_ms} ms after the request{ssh}.")
    progress.say()


def _short(path: Path) -> str:
    """Return a path as it is seen from the checkout."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
