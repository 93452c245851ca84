"""The supervisor of an installation's processes: supervisord, asked over its own socket."""

import http.client
import subprocess
import sys
import xmlrpc.client
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from computecloud.cli.failures import Failure
from computecloud.cli.installation import Installation
from computecloud.cli.processes import alive, command_of
from computecloud.cli.progress import Step

START_S = 60.0
STOP_S = 60.0


@dataclass(frozen=True, slots=True)
class Process:
    """A program as supervisord sees it; pid is 0 where it does not run."""

    name: str
    state: str
    pid: int
    description: str

    @property
    def runs(self) -> bool:
        """Tell whether it is up."""
        return self.state == "RUNNING"


class Supervisor:
    """One installation's supervisord; it may be running or not."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._socket = installation.run / "supervisor.sock"
        self._configuration = installation.run / "supervisord.conf"
        self._started_with = installation.run / "started-with"

    @property
    def _calls(self) -> Any:
        transport = SupervisorTransport(None, None, serverurl=f"unix://{self._socket}")
        return xmlrpc.client.ServerProxy("http://localhost", transport=transport).supervisor

    def processes(self) -> list[Process]:
        """Return the programs; none where supervisord does not answer."""
        try:
            answer = self._calls.getAllProcessInfo()
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return []
        return [Process(row["name"], row["statename"], row["pid"], row["description"]) for row in answer]

    def runs_as(self, fingerprint: str) -> bool:
        """Tell whether all programs run or are starting, and by what the fingerprint stands for."""
        with suppress(FileNotFoundError):
            if self._started_with.read_text() == fingerprint:
                found = self.processes()
                return bool(found) and all(process.runs or process.state == "STARTING" for process in found)
        return False

    def start(self, configuration: str, fingerprint: str, environment: dict[str, str], step: Step) -> None:
        """Start supervisord, which starts the programs; raises Failure where it does not answer."""
        self._configuration.write_text(configuration)
        self._started_with.unlink(missing_ok=True)
        log = self._installation.log / "supervisord.log"
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._configuration)]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if result.returncode:
            words = (result.stderr or result.stdout).strip().splitlines()
            raise Failure(
                f"supervisord did not start: {words[-1:]}",
                log=log,
                advice="mend what the log says; run bin/up again",
            )
        failure = Failure("supervisord does not answer", log=log, advice="run bin/down, then bin/up")
        step.wait(
            lambda: bool(self.processes()), seconds=START_S, what="supervisord", otherwise=lambda: failure
        )
        self._started_with.write_text(fingerprint)

    def start_rest(self) -> None:
        """Start the programs that wait for another to be up before."""
        for process in self.processes():
            if process.state == "STOPPED":
                self._calls.startProcess(process.name, False)

    def wait_until_up(self, step: Step) -> None:
        """Wait until every program runs; raises Failure with the log of one that does not."""

        def all_up() -> bool:
            self.require_healthy()
            return all(process.runs for process in self.processes())

        def late() -> Failure:
            slow = [process for process in self.processes() if not process.runs]
            return (
                self._failure(slow[0]) if slow else Failure("supervisord is gone", advice="run bin/up again")
            )

        step.wait(all_up, seconds=START_S, what="processes", otherwise=late)

    def require_healthy(self) -> None:
        """Raise Failure, with its log, where a program ends instead of running."""
        for process in self.processes():
            if process.state in ("BACKOFF", "FATAL", "EXITED"):
                raise self._failure(process)

    def _failure(self, process: Process) -> Failure:
        log = self._installation.log / f"{process.name}.log"
        advice = "mend what the log says, then run bin/up again"
        return Failure(
            f"{process.name} does not run ({process.state}: {process.description})", log=log, advice=advice
        )

    def stop(self, step: Step) -> bool:
        """Stop all programs and supervisord; False where nothing ran."""
        pid = self.pid()
        if pid is None:
            return False
        self.stop_programs(step)
        with suppress(OSError, http.client.HTTPException, xmlrpc.client.Error):
            self._calls.shutdown()
        failure = self._does_not_end(f"supervisord, process {pid},")
        step.wait(
            lambda: not alive(pid), seconds=STOP_S, what="supervisord to end", otherwise=lambda: failure
        )
        return True

    def stop_programs(self, step: Step) -> None:
        """Stop all programs at once but those that the others need to end well; supervisord stays."""

        def going() -> list[str]:
            found = self.processes()
            return [one.name for one in found if one.pid and one.name not in ("redis", "libvirtd")]

        for name in going():
            with suppress(xmlrpc.client.Fault):  # it ended by itself meanwhile
                self._calls.stopProcess(name, False)
        failure = self._does_not_end(", ".join(going()))
        step.wait(lambda: not going(), seconds=STOP_S, what="processes to end", otherwise=lambda: failure)

    def _does_not_end(self, what: str) -> Failure:
        log = self._installation.log / "supervisord.log"
        return Failure(f"{what} does not end", log=log, advice="kill it, then run this again")

    def pid(self) -> int | None:
        """Return supervisord's process, if it lives."""
        try:
            pid = int((self._installation.run / "supervisord.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if alive(pid) and b"supervisord" in command_of(pid) else None
