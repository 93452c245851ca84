"""Having an installation's processes run, with the code and the settings of now."""

import hashlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from computecloud.cli import credentials, libvirt_daemon
from computecloud.cli.connect import base_url, client
from computecloud.cli.failures import Failure
from computecloud.cli.installation import PARTS, ROOT, Installation
from computecloud.cli.processes import end, orphans
from computecloud.cli.programs import Program, configuration, host_names, programs
from computecloud.cli.progress import Progress, Step
from computecloud.cli.supervisor import Supervisor

# Long enough for a machine that is ten times slower than usual: who has died is told of before that.
LIBVIRTD_S = 60.0
WEB_S = 120.0
HOSTS_S = 180.0
ADVICE = "mend what the log says, then run bin/up again"


@dataclass(frozen=True, slots=True)
class Launch:
    """One run of `up`, as far as processes are concerned."""

    installation: Installation
    settings: dict[str, str]
    progress: Progress

    def is_done(self) -> bool:
        """Tell whether all runs already, as it should; what its supervisor is starting again is waited for."""
        supervisor = Supervisor(self.installation)
        if not supervisor.runs_as(self._plan()[2]):
            return False
        if not all(process.runs for process in supervisor.processes()):
            with self.progress.step("Processes that are starting") as step:
                supervisor.wait_until_up(step)
        if not self._is_host_alone and not self._web_answers():
            self._wait_for_web()
        return True

    def run(self) -> None:
        """Stop what runs, bring the database up to date, start everything, and wait until it answers."""
        wanted, text, mark = self._plan()
        supervisor = Supervisor(self.installation)
        self._stop(supervisor, wanted)
        if not self._is_host_alone:
            self._require_free_port()
            self.installation.write_settings(self.settings)
            self._prepare_database()
        with self.progress.step("Start processes") as step:
            if self._runs_libvirtd(wanted):
                libvirt_daemon.write_configuration(self.installation)
                libvirt_daemon.start_log_daemon(self.installation)
            supervisor.start(text, mark, self.installation.environment(self.settings), step)
            if self._runs_libvirtd(wanted):
                self._wait_for_libvirtd(supervisor, step)
            supervisor.start_rest()
            supervisor.wait_until_up(step)
            step.note = ", ".join(program.name for program in wanted)
        if not self._is_host_alone:
            self._wait_for_web()
            self._wait_for_hosts()

    @property
    def _is_host_alone(self) -> bool:
        return self.settings.get(PARTS) == "host"

    @property
    def _libvirt_uri(self) -> str:
        return self.settings.get("LIBVIRT_URI", libvirt_daemon.URI)

    def _plan(self) -> tuple[list[Program], str, str]:
        """Return the programs, supervisord's configuration, and the fingerprint of all that they start with."""
        wanted = programs(self.installation, self.settings, own_libvirtd=self._needs_libvirtd())
        text = configuration(self.installation, wanted)
        return wanted, text, fingerprint(ROOT, text, self.settings)

    def _needs_libvirtd(self) -> bool:
        """Tell whether libvirtd is ours to run: it is already, or nobody else's answers."""
        if self.settings["DRIVER"] == "fake":
            return False
        ours = any(process.name == "libvirtd" for process in Supervisor(self.installation).processes())
        uri = self._libvirt_uri
        return ours or (uri == libvirt_daemon.URI and not libvirt_daemon.answers(uri))

    @staticmethod
    def _runs_libvirtd(wanted: list[Program]) -> bool:
        return any(program.name == "libvirtd" for program in wanted)

    def _stop(self, supervisor: Supervisor, wanted: list[Program]) -> None:
        left = orphans(self.installation, wanted)
        if supervisor.pid() is not None or left:
            with self.progress.step("Stop what runs") as step:
                supervisor.stop(step)
                end(left)
                step.note = "its code or its settings have changed, or not all of it ran"

    def _require_free_port(self) -> None:
        host, port = self.settings["WEB_HOST"], int(self.settings["WEB_PORT"])
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise Failure(
                    f"the web server cannot have {host}:{port} ({error.strerror})",
                    advice=f"end the program that uses it, or choose another: bin/up --port {port + 1}",
                ) from None

    def _prepare_database(self) -> None:
        from computecloud.cli import database

        with self.progress.step("Database") as step:
            self.installation.enter({**self.settings, "LOG_LEVEL": "warning"})
            database.load(self.installation)
            database.migrate(step)
            known = credentials.passwords(self.installation)
            database.bootstrap(admin_password=known.admin, demo_password=known.demo)
            database.forget_beat()
            database.close()

    def _wait_for_libvirtd(self, supervisor: Supervisor, step: Step) -> None:
        def answers() -> bool:
            supervisor.require_healthy()
            return libvirt_daemon.answers(self._libvirt_uri)

        self._wait(step, answers, LIBVIRTD_S, "libvirtd", "libvirtd does not answer")

    def _wait_for_web(self) -> None:
        with self.progress.step("Web server answers") as step:
            self._wait(step, self._web_answers, WEB_S, "web", "the web server does not answer")
            step.note = base_url(self.settings)

    def _web_answers(self) -> bool:
        try:
            return "choices" in client(self.installation, self.settings, "demo").versions()
        except (OSError, ValueError):
            return False

    def _wait_for_hosts(self) -> None:
        admin = client(self.installation, self.settings, "admin")
        names = host_names(self.settings)

        def report() -> bool:
            services = admin.get("/compute/v2.1/os-services?binary=nova-compute")["services"]
            up = {service["host"] for service in services if service["state"] == "up"}
            nodes = admin.get("/compute/v2.1/os-hypervisors?limit=1")["hypervisors"]
            return up >= set(names) and bool(nodes)

        with self.progress.step("Hosts report") as step:
            self._wait(step, report, HOSTS_S, f"host-{names[0]}", "a host has not reported")
            step.note = ", ".join(names[:4]) + (f" … {names[-1]}" if len(names) > 4 else "")

    def _wait(self, step: Step, ready: Callable[[], bool], seconds: float, program: str, cause: str) -> None:
        failure = Failure(cause, log=self.installation.log / f"{program}.log", advice=ADVICE)
        step.wait(ready, seconds=seconds, what=program, otherwise=lambda: failure)


def fingerprint(root: Path, configuration: str, settings: dict[str, str]) -> str:
    """Return a digest of all that a running process was started with: its code, its settings, its packages."""
    digest = hashlib.sha256(configuration.encode())
    digest.update(repr(sorted(settings.items())).encode())
    files = [
        *root.glob("*/*.py"),
        *root.glob("*/*/*.py"),
        *root.glob("*/*/*/*.py"),
        root / "requirements.txt",
    ]
    for path in sorted(files):
        if path.relative_to(root).parts[0] not in ("tests", "bench", "var", ".venv"):
            facts = path.stat()
            digest.update(f"{path} {facts.st_mtime_ns} {facts.st_size}".encode())
    return digest.hexdigest()
