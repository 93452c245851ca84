"""computecloud metadata: a host's metadata service in the foreground, as the supervisor runs it."""

import asyncio
import os
import resource
import signal

import click

from computecloud.cli.installation import find


@click.command("metadata")
def command() -> None:
    """Answer this host's guests at 169.254.169.254 until told to stop."""
    installation = find()
    installation.enter({**installation.settings(), "ROLE": "metadata"})
    from computecloud import lean

    lean.keep_out()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "computecloud.settings")
    import django

    django.setup()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (most, most)
    )  # a socket a network, and the guests' connections
    asyncio.run(serve())


async def serve() -> None:
    """Run the service of this host until SIGTERM or SIGINT."""
    from instances.metadata.answers import answer_apart
    from instances.metadata.service import Service
    from networking import metadata_address, selectors

    tag = await asyncio.to_thread(selectors.tag)
    service = Service(tag, answer_apart, address=metadata_address.ADDRESS, port=metadata_address.PORT)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    await service.run()
