"""What `up` says at its end: how the first server came up, how to log in, where everything is, what to try next."""

from computecloud.cli.client import Refused
from computecloud.cli.connect import base_url, client
from computecloud.cli.hello import Hello, login
from computecloud.cli.installation import ROOT, Installation
from computecloud.cli.progress import Progress
from computecloud.cli.timeline import show as show_timeline


def show(
    progress: Progress,
    installation: Installation,
    settings: dict[str, str],
    *,
    hello: Hello | None,
    changed: bool,
) -> None:
    """Print the report."""
    say = progress.say
    if not changed:
        say(f"Nothing to do: the cloud runs, as it should ({progress.elapsed_s:.1f} s).")
    if hello is None:
        say("The server hello was deleted; it is not made again.")
    elif changed:
        _timeline(progress, installation, settings, hello)
    say()
    if hello is not None and hello.address:
        say(f"Log in to hello:  {login(hello, installation)}")
    say(f"API:              {base_url(settings)}/identity/v3")
    say(f"Clouds:           computecloud, computecloud-admin in {_short(installation.clouds_file)}")
    say(f"Admin:            {base_url(settings)}/admin/  (user admin)")
    say(f"Passwords:        {_short(installation.passwords_file)}    Logs: {_short(installation.log)}/")
    say("Try next:")
    say("  bin/openstack server list")
    say(
        "  bin/openstack server create --image demo --flavor m1.nano --key-name demo --network public --wait second"
    )
    say("  bin/openstack console log show hello")
    say("Stop with bin/down.")
    if changed:
        say(f"Ready after {progress.elapsed_s:.1f} s.")


def _timeline(progress: Progress, installation: Installation, settings: dict[str, str], hello: Hello) -> None:
    progress.say()
    try:
        show_timeline(client(installation, settings, "admin"), hello.server_id, progress.console)
    except (Refused, LookupError):
        return
    progress.say(
        f"ACTIVE {hello.active_ms} ms after the request"
        + (f", SSH answers after {hello.ssh_ms} ms" if hello.ssh_ms else "")
    )


def _short(path: object) -> str:
    """Return a path as it is seen from the checkout."""
    return str(path).removeprefix(f"{ROOT}/")
