"""Servers of a cloud under test: booted and deleted through the API, and what each of them holds, seen from outside."""

import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from computecloud.cli.client import Client, Refused
from computecloud.cli.failures import Failure
from tests.cloud import database
from tests.cloud.cloud import Cloud, until

ACTIVE_S = 30.0  # a server is to be ACTIVE within this time of its worker's return
GONE_S = 60.0
WHOLE = {"guests": 1, "disk folders": 1, "ports": 1, "charges": 1, "nodes": 1}
NOTHING = dict.fromkeys(WHOLE, 0)
_numbers = count(1)


def request(cloud: Cloud, **changes: Any) -> dict[str, Any]:
    """Return the body of a request for a server with one port on the public network."""
    server = {
        "name": f"server-{next(_numbers)}",
        "imageRef": cloud.image_id,
        "flavorRef": "42",
        "networks": [{"uuid": cloud.network_id}],
    }
    return {"server": server | changes}


@dataclass
class Server:
    """A server that was asked for."""

    cloud: Cloud
    id: str
    client: Client

    @property
    def shown(self) -> dict[str, Any]:
        """Return the server as the API shows it."""
        server: dict[str, Any] = self.client.get(f"/compute/v2.1/servers/{self.id}")["server"]
        return server

    @property
    def address(self) -> str:
        """Return its first address."""
        return str(next(iter(self.shown["addresses"].values()))[0]["addr"])

    def act(self, action: str, arguments: Any = None) -> None:
        """Ask for an action."""
        self.client.post(f"/compute/v2.1/servers/{self.id}/action", {action: arguments})

    def await_status(self, status: str, seconds: float = ACTIVE_S) -> float:
        """Wait until it is idle in this status; returns how long that took in s. Fails at once where it is in ERROR."""
        began = time.monotonic()

        def idle() -> bool:
            with suppress(OSError, Failure):  # the web server may be away
                shown = self.shown
                assert shown["status"] != "ERROR" or status == "ERROR", shown.get("fault")
                return bool(shown["status"] == status and shown["OS-EXT-STS:task_state"] is None)
            return False

        until(idle, seconds, f"server {self.id} to be {status}")
        return time.monotonic() - began

    def delete(self) -> None:
        """Ask for its end."""
        with suppress(Refused):
            self.client.delete(f"/compute/v2.1/servers/{self.id}")

    def await_gone(self, seconds: float = GONE_S) -> None:
        """Wait until the API does not know it any more."""
        until(self.is_gone, seconds, f"server {self.id} to be gone")

    def is_gone(self) -> bool:
        """Tell whether the API does not know it any more."""
        try:
            return not self.shown
        except Refused as refused:
            return refused.status == 404
        except Failure:
            return False


def boot(cloud: Cloud, client: Client | None = None, **changes: Any) -> Server:
    """Ask for a server."""
    client = client or cloud.admin
    answer = client.post("/compute/v2.1/servers", request(cloud, **changes))
    return Server(cloud, answer["server"]["id"], client)


def holdings(server: Server) -> dict[str, int]:
    """Return how many of each thing the server holds."""
    state, plain = server.cloud.state, server.id.replace("-", "")
    questions = {
        "ports": "SELECT count(*) FROM networking_port WHERE instance_id = ?",
        "charges": "SELECT count(*) FROM quotas_charge WHERE consumer_id = ?",
        "nodes": "SELECT count(DISTINCT node_id) FROM scheduling_allocation WHERE consumer_id = ?",
    }
    held = {name: int(database.ask(state, sql, plain)[0][0]) for name, sql in questions.items()}
    if server.cloud.driver == "fake":
        fakes = list((state / "hosts").glob("*/fake/guests.sqlite3"))
        guests, folders = "uuid = ? AND defined AND power IN (1, 3)", "uuid = ? AND folder"
        sql = "SELECT count(*) FROM guest WHERE "
        return {
            "guests": sum(_count(file, sql + guests, plain) for file in fakes),
            "disk folders": sum(_count(file, sql + folders, plain) for file in fakes),
            **held,
        }
    domains = subprocess.run(
        ["virsh", "-c", "qemu:///system", "list", "--uuid"], capture_output=True, text=True, check=True
    ).stdout.split()
    folders_there = list((state / "hosts").glob(f"*/guests/{server.id}"))
    return {"guests": domains.count(server.id), "disk folders": len(folders_there), **held}


def _count(file: Path, sql: str, uuid: str) -> int:
    return int(database.ask_file(file, sql, uuid)[0][0])
