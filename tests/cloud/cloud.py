"""A cloud of real processes: started and stopped by the command line, used by clients, and killed in parts."""

import json
import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from computecloud.cli.client import Client
from computecloud.cli.credentials import passwords
from computecloud.cli.installation import PREFIX, ROOT, Installation
from computecloud.cli.processes import alive
from computecloud.cli.supervisor import Process, Supervisor
from tests.cloud import leftovers
from tests.cloud.gates import Gates
from tests.cloud.rabbitmq import RabbitMQ
from tests.patience import patience

UP_S, DOWN_S, COMMAND_S, PROCESS_S = 240.0, 120.0, 60.0, 30.0
SSH_OPTIONS = (
    "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
    "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=3",
)  # fmt: skip


def until(ready: Callable[[], Any], seconds: float, what: str, *, every_s: float = 0.05) -> Any:
    """Return the first true answer of ready; fails when there is none in time, which is longer on a slow machine."""
    seconds *= patience()
    deadline = time.monotonic() + seconds
    while not (answer := ready()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(every_s)
    return answer


class FreshClient(Client):
    """A client with a connection for each call: none that the server has closed meanwhile."""

    def put(self, path: str) -> None:
        """Put what its address says all of, such as a role."""
        self._call("PUT", path)

    def _exchange(self, *words: Any) -> Any:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        return super()._exchange(*words)


@dataclass
class Cloud:
    """One cloud with its state in a folder of its own; `host` is the name of its first host's worker."""

    state: Path
    driver: str
    port: int
    host: str
    settings: dict[str, str] = field(default_factory=dict)
    stack: str = "sqlite+redis"  # what tests call its database and broker
    variables: dict[str, str] = field(default_factory=dict)  # of its environment, beside its settings
    rabbitmq: RabbitMQ | None = None  # its broker, where that is none of its own processes

    @property
    def gates(self) -> Gates:
        """Return the gates at which its processes can be held."""
        return Gates(self.state / "gates")

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of its commands: nothing of the tests' own settings."""
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(PREFIX) and key not in ("DJANGO_SETTINGS_MODULE", "OS_CLOUD")
        }
        given = {"STATE_DIR": str(self.state), "GATE_DIR": str(self.state / "gates"), **self.settings}
        return {
            **kept,
            **self.variables,
            **{f"{PREFIX}{key}": value for key, value in given.items()},
            "OS_CLIENT_CONFIG_FILE": str(self.state / "clouds.yaml"),
        }

    def run(self, *words: str, seconds: float = COMMAND_S) -> subprocess.CompletedProcess[str]:
        """Run a `computecloud` command."""
        return subprocess.run(
            [sys.executable, "-m", "computecloud", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds * patience(),
            check=False,
        )

    def up(self, *words: str) -> str:
        """Start it, or find it running; returns what the newcomer sees."""
        (self.state / "gates").mkdir(parents=True, exist_ok=True)
        done = self.run("up", "--driver", self.driver, "--port", str(self.port), *words, seconds=UP_S)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def purge(self) -> None:
        """Remove it with all that it made."""
        self.gates.open_all()
        done = self.run("down", "--purge", seconds=DOWN_S)
        assert done.returncode == 0, done.stdout + done.stderr

    def doctor(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run doctor."""
        return self.run("doctor", *words)

    def openstack(self, *words: str, cloud: str = "computecloud", form: str = "json") -> Any:
        """Run the OpenStack client; returns its JSON, or its text where form is empty or "value"."""
        command = [str(Path(sys.executable).with_name("openstack")), "--os-cloud", cloud, *words]
        if form:
            command += ["-f", form]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False,
            timeout=COMMAND_S * 2 * patience(),
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout) if form == "json" else done.stdout.strip()

    def ssh(
        self, address: str, *command: str, key: Path | None = None, within: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a guest, from the host or from a namespace."""
        prefix = ["ip", "netns", "exec", within] if within else []
        words = [*prefix, "ssh", "-i", str(key or self.state / "demo_key"), *SSH_OPTIONS, f"root@{address}"]
        return subprocess.run(
            [*words, *command], capture_output=True, text=True, timeout=COMMAND_S * patience(), check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def client(self, user: str = "admin", password: str = "") -> FreshClient:
        """Return a client of the API for a user and the project of that name; not to be shared between threads."""
        password = password or self.password(user)
        return FreshClient("127.0.0.1", self.port, user, password, self.state / "log" / "web.log")

    def password(self, user: str) -> str:
        """Return the password of one of the two first users."""
        return passwords(self._installation).of(user)

    @cached_property
    def admin(self) -> FreshClient:
        """Return the tests' own client, of the project that has no quota."""
        return self.client("admin")

    @cached_property
    def image_id(self) -> str:
        """Return the demo image."""
        return str(self.admin.get("/image/v2/images?name=demo")["images"][0]["id"])

    @cached_property
    def network_id(self) -> str:
        """Return the public network."""
        return str(self.admin.get("/network/v2.0/networks?name=public")["networks"][0]["id"])

    @cached_property
    def _installation(self) -> Installation:
        return Installation(self.state)

    @property
    def supervisor(self) -> Supervisor:
        """Return its supervisor."""
        return Supervisor(self._installation)

    @property
    def worker(self) -> str:
        """Return the name of the first host's worker under the supervisor."""
        return f"host-{self.host}"

    def process(self, name: str) -> Process:
        """Return a process as the supervisor sees it."""
        return next(process for process in self.supervisor.processes() if process.name == name)

    def name_of(self, pid: int) -> str:
        """Return the name of the process with this pid."""
        return next(process.name for process in self.supervisor.processes() if process.pid == pid)

    def kill(self, name: str, *, pid: int = 0) -> int:
        """Kill a process with SIGKILL, or its child `pid`; returns the pid that is gone."""
        target = pid or self.process(name).pid
        assert target, f"{name} does not run"
        os.kill(target, signal.SIGKILL)
        until(lambda: not alive(target), PROCESS_S, f"the end of {name}, process {target}", every_s=0.005)
        return target

    def await_back(self, name: str, killed: int) -> None:
        """Wait until the process was started again, and has run for the second that its supervisor calls a start.

        A process killed before that is started after a pause that grows by a second each time.
        """

        def back() -> bool:
            process = self.process(name)
            return process.runs and process.pid != killed

        until(back, PROCESS_S, f"{name} to be started again")

    def stop(self, name: str) -> None:
        """Have the supervisor stop a process, and kill it where it does not end."""
        self._calls.stopProcess(name)

    def start(self, name: str) -> None:
        """Have the supervisor start a process."""
        self._calls.startProcess(name)

    @property
    def _calls(self) -> Any:
        socket = f"unix://{self.state}/run/supervisor.sock"
        transport = SupervisorTransport(None, None, serverurl=socket)
        return xmlrpc.client.ServerProxy("http://localhost", transport=transport).supervisor

    def await_running(self) -> None:
        """Wait until every process runs, as the supervisor sees it."""
        until(
            lambda: all(process.runs for process in self.supervisor.processes()),
            PROCESS_S,
            "all processes to run",
        )

    def settled(self, before: leftovers.Snapshot, seconds: float = 20.0) -> list[str]:
        """Return what differs from the snapshot when nothing moves any more: at once, or when the time is over."""
        deadline = time.monotonic() + seconds
        while differences := leftovers.compare(before, leftovers.snapshot(self.state)):
            if time.monotonic() > deadline:
                break
            time.sleep(0.25)
        return differences
