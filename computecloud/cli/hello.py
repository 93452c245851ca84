"""The first server: key pair, boot through the API as tenant demo, and the wait until it answers on SSH."""

import json
import logging
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from computecloud.cli.client import Client, Refused
from computecloud.cli.failures import Failure
from computecloud.cli.installation import Installation
from computecloud.cli.progress import Step

NAME = "hello"
KEY_NAME = "demo"
FLAVOR = "42"
ACTIVE_S = 120.0
SSH_S = 180.0
SSH_OPTIONS = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"


@dataclass(frozen=True, slots=True)
class Hello:
    """The first server: its address is empty on fake hosts; times in ms from the POST."""

    server_id: str
    address: str
    active_ms: int
    ssh_ms: int = 0


def remembered(installation: Installation) -> Hello | None:
    """Return the first server as it was made, also if it was deleted since."""
    try:
        return Hello(**json.loads(_file(installation).read_text()))
    except FileNotFoundError:
        return None


def remember(installation: Installation, hello: Hello) -> None:
    """Keep in mind that the first server was made, so that it is never made again."""
    _file(installation).write_text(json.dumps(asdict(hello)))


def ensure_key(demo: Client, public_key: str) -> None:
    """Import the demo's key, if it is not there."""
    try:
        demo.post(
            "/compute/v2.1/os-keypairs",
            {"keypair": {"name": KEY_NAME, "type": "ssh", "public_key": public_key}},
        )
    except Refused as error:
        if error.status != 409:
            raise


def boot(demo: Client, *, image_id: str, wired: bool, step: Step, log: Path) -> Hello:
    """Boot the server, or go on with one that is there; returns it when it is ACTIVE. Raises Failure with its fault."""
    networks: Any = "none"
    if wired:
        public = demo.get("/network/v2.0/networks?name=public")["networks"]
        if not public:
            raise Failure(
                "there is no network named public", advice="make one, or start over: bin/down --purge; bin/up"
            )
        networks = [{"uuid": public[0]["id"]}]
    wanted = {
        "name": NAME,
        "imageRef": image_id,
        "flavorRef": FLAVOR,
        "key_name": KEY_NAME,
        "networks": networks,
    }
    began_s = time.monotonic()
    there = demo.get(f"/compute/v2.1/servers?name=^{NAME}$")["servers"]
    server_id = str((there or [demo.post("/compute/v2.1/servers", {"server": wanted})["server"]])[0]["id"])
    server: dict[str, Any] = {}

    def active() -> bool:
        server.update(demo.get(f"/compute/v2.1/servers/{server_id}")["server"])
        if server["status"] == "ERROR":
            words = server.get("fault", {}).get("message", "no reason was given")
            advice = "mend what it says, then: bin/openstack server delete hello; bin/up"
            raise Failure(f"the server went to ERROR: {words}", log=log, advice=advice)
        step.tell(server.get("OS-EXT-STS:task_state") or server["status"])
        return bool(server["status"] == "ACTIVE")

    late = Failure(
        "the server is not ACTIVE yet",
        log=log,
        advice="look at bin/computecloud doctor, then run bin/up again",
    )
    step.wait(active, seconds=ACTIVE_S, what="ACTIVE", otherwise=lambda: late)
    addresses = [entry["addr"] for entries in server["addresses"].values() for entry in entries]
    return Hello(server_id, addresses[0] if addresses else "", round((time.monotonic() - began_s) * 1000))


def wait_for_ssh(demo: Client, hello: Hello, installation: Installation, step: Step) -> Hello:
    """Return the server with its time to SSH once it runs a command under the demo's key; raises Failure."""
    began_s = time.monotonic()

    def answers() -> bool:
        return _hostname(hello.address, installation.key_file) == NAME

    def late() -> Failure:
        console = installation.log / "hello-console.log"
        with suppress(Refused, Failure):
            answer = demo.post(
                f"/compute/v2.1/servers/{hello.server_id}/action", {"os-getConsoleOutput": {"length": 50}}
            )
            console.write_text(answer["output"])
        cause = f"the server is ACTIVE, but {hello.address} does not answer on SSH"
        return Failure(
            cause, log=console, advice="bin/openstack console log show hello tells what the guest says"
        )

    step.wait(answers, seconds=SSH_S, what=f"the guest boots, {hello.address}", otherwise=late)
    taken_ms = hello.active_ms + round((time.monotonic() - began_s) * 1000)
    return Hello(hello.server_id, hello.address, hello.active_ms, taken_ms)


def login(hello: Hello, installation: Installation) -> str:
    """Return the command that logs in to the server."""
    return f"ssh -i {installation.key_file} {SSH_OPTIONS} root@{hello.address}"


def _hostname(address: str, key_file: Path) -> str | None:
    """Return what the guest calls itself, or None while nobody answers."""
    try:
        with socket.create_connection((address, 22), timeout=0.5) as probe:
            probe.settimeout(2)
            if not probe.recv(4).startswith(b"SSH-"):
                return None
    except OSError:
        return None
    import paramiko

    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    with paramiko.SSHClient() as client, suppress(paramiko.SSHException, OSError):
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect(
            address,
            username="root",
            key_filename=str(key_file),
            look_for_keys=False,
            allow_agent=False,
            timeout=5,
        )
        _, out, _ = client.exec_command("hostname", timeout=5)
        return str(out.read().decode().strip())
    return None


def _file(installation: Installation) -> Path:
    return installation.state / "hello.json"
