"""computecloud up: from an installed checkout to a running cloud with a first server; again, it changes nothing."""

import os
import socket
from dataclasses import dataclass, field

import click

from computecloud.cli import credentials, demo_image, hello, libvirt_daemon, report
from computecloud.cli.client import Client, Refused
from computecloud.cli.connect import base_url, client
from computecloud.cli.failures import Failure
from computecloud.cli.installation import HOSTS, ROOT, Installation, find
from computecloud.cli.programs import Program, configuration, host_names, programs
from computecloud.cli.progress import Progress
from computecloud.cli.supervisor import Supervisor, end, fingerprint, orphans

WEB_S = 20.0
HOSTS_S = 60.0
FOLDERS = ("run", "log", "redis", "static", "cache")


@dataclass
class Up:
    """One run of the command."""

    installation: Installation
    settings: dict[str, str]
    progress: Progress = field(default_factory=Progress)
    changed: bool = False

    def __post_init__(self) -> None:
        """Make what the steps share."""
        self.supervisor = Supervisor(self.installation)
        self.image = demo_image.Build(self.installation)
        self.admin: Client = client(self.installation, self.settings, "admin")
        self.demo: Client = client(self.installation, self.settings, "demo")

    @property
    def is_fake(self) -> bool:
        """Tell whether the hosts are fake ones."""
        return self.settings["DRIVER"] == "fake"

    def run(self) -> None:
        """Do what is still to do, and say how things stand."""
        if not self.is_fake:
            libvirt_daemon.require_root()
        try:
            self.start()
            first = self.first_server()
        finally:
            self.image.stop()
        report.show(self.progress, self.installation, self.settings, hello=first, changed=self.changed)

    def start(self) -> None:
        """Have all processes run with the code and settings of now."""
        own_libvirtd = self.needs_libvirtd()
        wanted = programs(self.installation, self.settings, own_libvirtd=own_libvirtd)
        text = configuration(self.installation, wanted)
        mark = fingerprint(ROOT, text, self.settings)
        if self.supervisor.runs_as(mark):
            return
        self.changed = True
        if not self.is_fake:
            self.image.begin()
        with self.progress.step("Stop what runs") as step:
            if not self.supervisor.stop(step) and not self._end_orphans(wanted):
                step.note = "nothing ran"
        self._require_free_port()
        self.installation.write_settings(self.settings)
        self._prepare_database()
        with self.progress.step("Start processes") as step:
            if own_libvirtd:
                libvirt_daemon.write_configuration(self.installation)
                libvirt_daemon.start_log_daemon(self.installation)
            self.supervisor.start(text, mark, self.installation.environment(self.settings), step)
            if own_libvirtd:
                uri = self.settings.get("LIBVIRT_URI", libvirt_daemon.URI)
                libvirt_daemon.wait_until_up(self.installation, uri, step)
            self.supervisor.start_rest()
            self.supervisor.wait_until_up(step)
            step.note = ", ".join(program.name for program in wanted)
        self._wait_for_services()

    def needs_libvirtd(self) -> bool:
        """Tell whether libvirtd is ours to run: it is already, or nobody else's answers."""
        if self.is_fake:
            return False
        uri = self.settings.get("LIBVIRT_URI", libvirt_daemon.URI)
        ours = any(process.name == "libvirtd" for process in self.supervisor.processes())
        return ours or (uri == libvirt_daemon.URI and not libvirt_daemon.answers(uri))

    def first_server(self) -> hello.Hello | None:
        """Have the demo image, and once in an installation's life the first server; None where that was deleted."""
        known = hello.remembered(self.installation)
        if known is not None:
            try:
                self.demo.get(f"/compute/v2.1/servers/{known.server_id}")
            except Refused:
                return None
            return known
        self.changed = True
        image_id = self._demo_image()
        log = self.installation.log / f"host-{host_names(self.settings)[0]}.log"
        with self.progress.step("Boot the server hello") as step:
            public_key = credentials.public_key(self.installation)
            hello.ensure_key(self.demo, public_key)
            first = hello.boot(self.demo, image_id=image_id, wired=not self.is_fake, step=step, log=log)
            step.note = first.address
        if not self.is_fake:
            with self.progress.step("Wait until it answers on SSH") as step:
                first = hello.wait_for_ssh(self.demo, first, self.installation, step)
        hello.remember(self.installation, first)
        return first

    def _demo_image(self) -> str:
        with self.progress.step("Demo image") as step:
            found = demo_image.find(self.admin)
            if found is not None:
                step.note = "there already"
                return found
            if self.is_fake:
                file = demo_image.write_blank(self.image.file)
            else:
                self.image.begin()
                file = self.image.wait(step)
            step.tell("upload")
            step.note = f"{file.stat().st_size / 1e6:.0f} MB"
            return demo_image.upload(self.admin, file)

    def _prepare_database(self) -> None:
        from computecloud.cli import database

        with self.progress.step("Database") as step:
            self.installation.enter({**self.settings, "LOG_LEVEL": "warning"})
            database.load(self.installation)
            database.migrate(step)
            known = credentials.passwords(self.installation)
            database.bootstrap(admin_password=known.admin, demo_password=known.demo)
            database.close()

    def _end_orphans(self, wanted: list[Program]) -> bool:
        left = orphans(self.installation, wanted)
        end(left)
        return bool(left)

    def _require_free_port(self) -> None:
        host, port = self.settings["WEB_HOST"], int(self.settings["WEB_PORT"])
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                cause = f"the web server cannot have {host}:{port} ({error.strerror})"
                raise Failure(
                    cause, advice="end the program that uses it, or choose another: bin/up --port 8775"
                ) from None

    def _wait_for_services(self) -> None:
        with self.progress.step("Web server answers") as step:
            log = self.installation.log / "web.log"
            failure = Failure(
                "the web server does not answer", log=log, advice="mend what the log says; run bin/up again"
            )
            step.wait(
                self._web_answers, seconds=WEB_S, what=base_url(self.settings), otherwise=lambda: failure
            )
            step.note = base_url(self.settings)
        with self.progress.step("Hosts report") as step:
            log = self.installation.log / f"host-{host_names(self.settings)[0]}.log"
            failure = Failure(
                "a host has not reported", log=log, advice="mend what the log says; run bin/up again"
            )
            step.wait(self._hosts_report, seconds=HOSTS_S, what="first report", otherwise=lambda: failure)
            step.note = ", ".join(host_names(self.settings)[:4])

    def _web_answers(self) -> bool:
        try:
            return "choices" in self.demo.versions()
        except (OSError, ValueError):
            return False

    def _hosts_report(self) -> bool:
        services = self.admin.get("/compute/v2.1/os-services?binary=nova-compute")["services"]
        up = {service["host"] for service in services if service["state"] == "up"}
        nodes = self.admin.get("/compute/v2.1/os-hypervisors?limit=1")["hypervisors"]
        return up >= set(host_names(self.settings)) and bool(nodes)


def settings_of(installation: Installation, given: dict[str, str | None]) -> dict[str, str]:
    """Return all settings: defaults, those of before, those of the environment, and over them the options."""
    before = installation.settings({})
    defaults = {"DRIVER": "libvirt", "WEB_HOST": "127.0.0.1", "WEB_PORT": "8774", "REGION": "RegionOne"}
    chosen = {key: value for key, value in given.items() if value is not None}
    settings = {**defaults, **installation.settings(), **chosen}
    driver = before.get("DRIVER", settings["DRIVER"])
    if settings["DRIVER"] != driver:
        raise Failure(
            f"this cloud was made with --driver {driver}",
            advice="bin/up --state-dir FOLDER for a second one, or bin/down --purge first",
        )
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
    os.umask(0o022)
    given = {"DRIVER": driver, HOSTS: hosts, "FAKE_NODES": nodes, "WEB_PORT": port}
    settings = settings_of(installation, {key: str(value) if value else None for key, value in given.items()})
    if settings["DRIVER"] != "fake" and (hosts or nodes):
        raise Failure("--hosts and --nodes are for fake hosts", advice="add --driver fake, or leave them out")
    for name in FOLDERS:
        (installation.state / name).mkdir(parents=True, exist_ok=True)
    credentials.write_clouds(installation, base_url(settings), settings["REGION"])
    Up(installation, settings).run()
