"""What the tenants of a soak do: each event of the schedule as a request, asked again where nobody answered."""

import re
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from computecloud.cli.client import Refused
from computecloud.cli.failures import Failure
from tests.cloud.cloud import Cloud, FreshClient
from tests.soak.plan import TENANTS, Event

PASSWORD = "soaked to the bone 7"
INSIST_S = 60.0  # a delete is asked for until it is answered; the web server may be away
PATIENCE_S = 6.0  # an action is asked for again while the server is busy
AGAIN_S = 0.5
SERVERS = "/compute/v2.1/servers"
BODIES: dict[str, dict[str, Any]] = {
    "start": {"os-start": None},
    "stop": {"os-stop": None},
    "reboot_soft": {"reboot": {"type": "SOFT"}},
    "reboot_hard": {"reboot": {"type": "HARD"}},
}


def make_tenants(cloud: Cloud) -> dict[str, FreshClient]:
    """Make the tenants that are not there from the start; returns a client, logged in, for each."""
    admin = {"cloud": "computecloud-admin"}
    clients = {}
    for name in TENANTS:
        first = name in ("admin", "demo")
        if not first:
            cloud.openstack("project", "create", name, **admin)
            cloud.openstack("user", "create", name, "--password", PASSWORD, **admin)
            cloud.openstack("role", "add", "member", "--user", name, "--project", name, form="", **admin)
        clients[name] = cloud.client(name, "" if first else PASSWORD)
        clients[name].get(f"{SERVERS}?limit=1")
    return clients


@dataclass
class Traffic:
    """Asks for what the schedule says, and counts what became of each request."""

    cloud: Cloud
    clients: dict[str, FreshClient]
    answers: Counter[str] = field(default_factory=Counter)
    _ids: dict[str, str] = field(default_factory=dict)
    _made: dict[str, threading.Event] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def announce(self, events: Iterable[Event]) -> None:
        """Know of every server that will be asked for, so that who acts on it can wait for the answer."""
        self._made = {
            event.details["server"]: threading.Event() for event in events if event.name == "create"
        }

    def do(self, event: Event) -> None:
        """Ask for one operation."""
        name, tenant = event.details["server"], event.details["tenant"]
        try:
            if event.name == "create":
                outcome = self._create(name, tenant, event.details)
            else:
                self._made[name].wait(INSIST_S)
                outcome = self._delete(name, tenant) if event.name == "delete" else self._act(event)
        except Refused as refused:
            outcome = f"refused {refused.status}"
        except Failure:
            outcome = "unanswered"
        with self._guard:
            self.answers[f"{event.name} {outcome}"] += 1

    def client(self, tenant: str) -> FreshClient:
        """Return a client of the tenant for one thread."""
        return replace(self.clients[tenant], _connection=None)

    def named(self, tenant: str, name: str) -> list[str]:
        """Return the ids of the servers of a request."""
        listed = self.client(tenant).get(f"{SERVERS}?name=^{name}")["servers"]
        return [server["id"] for server in listed if re.fullmatch(rf"{name}(-\d+)?", server["name"])]

    def left(self) -> list[tuple[str, str]]:
        """Return (tenant, id) of every server that the soak made and that is still there."""
        found = []
        for tenant in TENANTS:
            listed = self.client(tenant).get(f"{SERVERS}?limit=1000")["servers"]
            found += [(tenant, server["id"]) for server in listed if server["name"].startswith("soak-")]
        return found

    def _create(self, name: str, tenant: str, details: dict[str, Any]) -> str:
        networks = details["networks"]
        server = {
            "name": name,
            "imageRef": self.cloud.image_id,
            "flavorRef": "42",
            "networks": [{"uuid": self.cloud.network_id}] if networks == "public" else networks,
            "min_count": details["count"],
            "max_count": details["count"],
        }
        try:
            answer = self.client(tenant).post(SERVERS, {"server": server})
            if details["count"] == 1:
                self._ids[name] = answer["server"]["id"]
        finally:
            self._made[name].set()
        return "accepted"

    def _ids_of(self, name: str, tenant: str) -> list[str]:
        return [self._ids[name]] if name in self._ids else self.named(tenant, name)

    def _delete(self, name: str, tenant: str) -> str:
        deadline = time.monotonic() + INSIST_S
        while True:
            try:
                ids = self._ids_of(name, tenant)
                for server in ids:
                    self._delete_one(tenant, server)
                return "accepted" if ids else "of nothing"
            except Refused:
                raise
            except Failure:
                if time.monotonic() > deadline:
                    raise
            time.sleep(AGAIN_S)

    def _delete_one(self, tenant: str, server: str) -> None:
        try:
            self.client(tenant).delete(f"{SERVERS}/{server}")
        except Refused as refused:
            if refused.status != 404:
                raise

    def _act(self, event: Event) -> str:
        name, tenant = event.details["server"], event.details["tenant"]
        racing = event.details.get("racing")
        deadline = time.monotonic() + (0 if racing else PATIENCE_S)
        while True:
            try:
                ids = self._ids_of(name, tenant)
                if not ids:
                    return "of nothing"
                self.client(tenant).post(f"{SERVERS}/{ids[0]}/action", BODIES[event.name])
                return "accepted"
            except Refused as refused:
                if refused.status != 409 or time.monotonic() > deadline:
                    raise
            time.sleep(AGAIN_S)

    def delete_all(self, seconds: float) -> None:
        """Delete every server that the soak made, and wait until none is left."""
        deadline, asked_at_s = time.monotonic() + seconds, dict[str, float]()
        while True:
            try:
                left = self.left()
                if not left:
                    return
                for tenant, server in left:
                    if time.monotonic() - asked_at_s.get(server, -60.0) > 30.0:
                        self._delete_one(tenant, server)
                        asked_at_s[server] = time.monotonic()
            except Failure:
                left = []
            assert time.monotonic() < deadline, f"servers are still there after {seconds:.0f} s: {left}"
            time.sleep(AGAIN_S)
