"""computecloud up: from an installed checkout to a running cloud with a first server; again, it changes nothing."""

import os
from dataclasses import dataclass

import click

from computecloud.cli import credentials, demo_image, hello, libvirt_daemon, report
from computecloud.cli.client import Client, Refused
from computecloud.cli.connect import base_url, client
from computecloud.cli.failures import Failure
from computecloud.cli.installation import HOSTS, Installation, find
from computecloud.cli.launch import Launch
from computecloud.cli.programs import host_names
from computecloud.cli.progress import Progress

FOLDERS = ("run", "log", "redis", "static", "cache")
DEFAULTS = {"DRIVER": "libvirt", "WEB_HOST": "127.0.0.1", "WEB_PORT": "8774", "REGION": "RegionOne"}


@dataclass(frozen=True, slots=True)
class FirstServer:
    """The demo image and the server hello: made once in an installation's life."""

    installation: Installation
    settings: dict[str, str]
    progress: Progress
    image: demo_image.Build

    def is_due(self) -> bool:
        """Tell whether the server was never made."""
        return hello.remembered(self.installation) is None

    def find(self) -> hello.Hello | None:
        """Return the server that was made; None where somebody deleted it since."""
        known = hello.remembered(self.installation)
        if known is not None:
            try:
                self._client("demo").get(f"/compute/v2.1/servers/{known.server_id}")
            except Refused:
                return None
        return known

    def make(self) -> hello.Hello:
        """Boot the server and wait until it answers; on fake hosts, until it is ACTIVE."""
        image_id = self._demo_image(self._client("admin"))
        demo, wired = self._client("demo"), self.settings["DRIVER"] != "fake"
        log = self.installation.log / f"host-{host_names(self.settings)[0]}.log"
        with self.progress.step("Boot the server hello") as step:
            hello.ensure_key(demo, credentials.public_key(self.installation))
            made = hello.boot(demo, image_id=image_id, wired=wired, step=step, log=log)
            step.note = made.address
        if wired:
            with self.progress.step("Wait until it answers on SSH") as step:
                made = hello.wait_for_ssh(demo, made, self.installation, step)
        hello.remember(self.installation, made)
        return made

    def _demo_image(self, admin: Client) -> str:
        with self.progress.step("Demo image") as step:
            found = demo_image.find(admin)
            if found is not None:
                step.note = "there already"
                return found
            if self.settings["DRIVER"] == "fake":
                file = demo_image.write_blank(self.image.file)
            else:
                self.image.begin()
                file = self.image.wait(step)
            step.tell("upload")
            step.note = f"{file.stat().st_size / 1e6:.0f} MB"
            return demo_image.upload(admin, file)

    def _client(self, user: str) -> Client:
        return client(self.installation, self.settings, user)


def settings_of(installation: Installation, given: dict[str, str | None]) -> dict[str, str]:
    """Return all settings: defaults, those of before, those of the environment, and over them the options."""
    before = installation.settings({})
    chosen = {key: value for key, value in given.items() if value is not None}
    settings = {**DEFAULTS, **installation.settings(), **chosen}
    driver = before.get("DRIVER", settings["DRIVER"])
    if settings["DRIVER"] != driver:
        raise Failure(
            f"this cloud was made with --driver {driver}",
            advice="bin/up --state-dir FOLDER for a second one, or bin/down --purge first",
        )
    if settings["DRIVER"] != "fake" and (given[HOSTS] or given["FAKE_NODES"]):
        raise Failure("--hosts and --nodes are for fake hosts", advice="add --driver fake, or leave them out")
    settings["SECRET_KEY"] = credentials.secret_key(settings)
    return settings


@click.command("up")
@click.option(
    "--driver", type=click.Choice(["libvirt", "fake"]), help="Real guests, or fake hosts without guests."
)
@click.option(
    "--hosts", type=click.IntRange(1, 64), help="Fake hosts, each with a worker of its own (default 1)."
)
@click.option("--nodes", type=click.IntRange(1, 10_000), help="Fake nodes on each host (default 1).")
@click.option("--port", type=click.IntRange(1, 65_535), help="Port of the web server (default 8774).")
@click.option("--state-dir", type=click.Path(), help="Folder of all state (default: var/ in the checkout).")
def command(
    driver: str | None, hosts: int | None, nodes: int | None, port: int | None, state_dir: str | None
) -> None:
    """Start the cloud, boot the server hello, and leave everything running. Run again, it changes nothing."""
    installation = find(state_dir)
    given = {"DRIVER": driver, HOSTS: hosts, "FAKE_NODES": nodes, "WEB_PORT": port}
    settings = settings_of(installation, {key: str(value) if value else None for key, value in given.items()})
    if settings["DRIVER"] != "fake":
        libvirt_daemon.require_root()
    os.umask(0o022)
    for name in FOLDERS:
        (installation.state / name).mkdir(parents=True, exist_ok=True)
    authority = settings.get("WEB_TLS_AUTHORITY", "")
    credentials.write_clouds(installation, base_url(settings), settings["REGION"], authority=authority)
    up(installation, settings, Progress())


def up(installation: Installation, settings: dict[str, str], progress: Progress) -> None:
    """Do what is still to do, and say how things stand."""
    launch = Launch(installation, settings, progress)
    image = demo_image.Build(installation)
    first = FirstServer(installation, settings, progress, image)
    starts, boots = not launch.is_done(), first.is_due()
    try:
        if boots and settings["DRIVER"] != "fake":
            image.begin()  # it takes one processor while the other starts the cloud
        if starts:
            launch.run()
        server = first.make() if boots else first.find()
    finally:
        image.stop()
    if not (starts or boots):
        progress.say(f"Nothing to do: the cloud runs as it should ({progress.elapsed_s:.1f} s).")
    report.show(progress, installation, settings, server, booted=boots)
    if starts or boots:
        progress.say(f"Ready after {progress.elapsed_s:.1f} s.")
