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
from tests.soak.look import Ledger
from tests.soak.plan import TENANTS, Event

PASSWORD = "soaked to the bone 7"
INSIST_S = 90.0  # what is not answered is asked for again; the web server may be away
PATIENCE_S = 6.0  # an action is asked for again while the server is busy
AGAIN_S = 1.0
SERVERS = "/compute/v2.1/servers"
BODIES: dict[str, dict[str, Any]] = {
    "start": {"os-start": None},
    "stop": {"os-stop": None},
    "reboot_soft": {"reboot": {"type": "SOFT"}},
    "reboot_hard": {"reboot": {"type": "HARD"}},
    "pause": {"pause": None},
    "unpause": {"unpause": None},
    "suspend": {"suspend": None},
    "resume": {"resume": None},
}


class Keyed(FreshClient):
    """A client whose requests carry an idempotency key."""

    key = ""

    def _logged_in(self) -> dict[str, str]:
        return {**super()._logged_in(), "Idempotency-Key": self.key}


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
    wanted: dict[str, int] = field(default_factory=dict)  # name of an accepted request: how many servers
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
                self._made[name].wait(0 if event.name == "cancel" else INSIST_S)
                outcome = self._change(event)
        except Refused as refused:
            outcome = f"refused {refused.status}"
        except Failure:
            outcome = "unanswered"
        self._count(f"{event.name} {outcome}")

    @property
    def asked(self) -> int:
        """Return how many requests have come to an end, each once."""
        return sum(self.answers.values()) - self.answers["asked again"]

    def _count(self, outcome: str) -> None:
        with self._guard:
            self.answers[outcome] += 1

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
            answer = self._post(tenant, SERVERS, {"server": server}, key=name)
            if answer and details["count"] == 1:
                self._ids[name] = answer["server"]["id"]
            with self._guard:
                self.wanted[name] = details["count"]
        finally:
            self._made[name].set()
        return "accepted" if answer else "accepted, answered too late"

    def _post(self, tenant: str, path: str, body: Any, *, key: str) -> Any:
        """Ask until there is an answer, with one key, so that it is done once; None where it is done and not told."""
        client = Keyed(**vars(self.client(tenant)))
        client.key = key
        deadline = time.monotonic() + INSIST_S
        while True:
            try:
                return client.post(path, body)
            except Refused as refused:
                again = refused.status >= 500 or (refused.status == 409 and "under way" in str(refused))
                if refused.status == 409 and "Idempotency-Key" in str(refused) and not again:
                    return None
                if not again or "Another operation" in str(refused) or time.monotonic() > deadline:
                    raise
            except Failure:
                if time.monotonic() > deadline:
                    raise
            self._count("asked again")
            time.sleep(AGAIN_S)

    def doubled(self) -> list[str]:
        """Return what was made another number of times than it was accepted."""
        rows = Ledger(self.cloud.state / "computecloud.sqlite3").ask(
            "SELECT name, count(*) FROM instances_instance WHERE name LIKE 'soak-%' GROUP BY name"
        )
        made: Counter[str] = Counter()
        for name, count in rows:
            made[name if name in self.wanted else name.rpartition("-")[0]] += count
        return [
            f"{name}: {count} servers were accepted, {made[name]} made"
            for name, count in self.wanted.items()
            if made[name] != count
        ]

    def _ids_of(self, name: str, tenant: str) -> list[str]:
        return [self._ids[name]] if name in self._ids else self.named(tenant, name)

    def _change(self, event: Event) -> str:
        name, tenant = event.details["server"], event.details["tenant"]
        if event.name == "delete":
            return self._delete(name, tenant)
        return self._cancel(name, tenant) if event.name == "cancel" else self._act(event)

    def _cancel(self, name: str, tenant: str) -> str:
        """Cancel the newest operation that is active on a server of this name; there may be none any more."""
        for server in self._ids_of(name, tenant)[:1]:
            listed = self.client(tenant).get(f"/operations/?server={server}&state=active")["operations"]
            for operation in listed[:1]:
                self.client(tenant).post(f"/operations/{operation['id']}/cancel", {})
                return "accepted"
        return "of nothing"

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
                key = f"{name} {event.name} {event.at_s}".replace(" ", "/")
                answer = self._post(tenant, f"{SERVERS}/{ids[0]}/action", BODIES[event.name], key=key)
                return "accepted" if answer is None else f"answered {answer}"
            except Refused as refused:
                if refused.status != 409 or time.monotonic() > deadline:
                    raise
            time.sleep(AGAIN_S)

    def delete_all(self, seconds: float) -> list[str]:
        """Delete every server that the soak made, and wait until none is left; returns those that are, in time."""
        deadline, asked_at_s = time.monotonic() + seconds, dict[str, float]()
        while True:
            try:
                left = self.left()
                if not left:
                    return []
                for tenant, server in left:
                    if time.monotonic() - asked_at_s.get(server, -60.0) > 30.0:
                        self._delete_one(tenant, server)
                        asked_at_s[server] = time.monotonic()
            except Failure as failure:
                left = [("somebody's", str(failure))]
            if time.monotonic() > deadline:
                return [
                    f"{tenant} server {server} is still there after {seconds:.0f} s"
                    for tenant, server in left
                ]
            time.sleep(AGAIN_S)
