"""Enrolling a host and removing it: the parts in their order, each a line that says what was done."""

import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import NAMESPACE_DNS, uuid5

from computecloud.cli.enrolment import account, role, service, shipping, survey
from computecloud.cli.enrolment.addresses import Place
from computecloud.cli.failures import Failure
from computecloud.cli.installation import HOSTS, PARTS, PREFIX
from computecloud.cli.progress import Progress, Step
from hypervisors.ssh import Remote

SETTINGS_FILE = f"{shipping.STATE}/settings.env"
HEARTBEAT_S = 180.0
# What is this machine's own, or would be a secret too many there.
OURS = {
    *("STATE_DIR", "DATABASE_URL", "BROKER_URL", "SECRET_KEY", "TOKEN_KEYS", "OPERATION_KEY", "HOST_NAME"),
    *(
        "WEB_HOST",
        "WEB_PORT",
        "PUBLIC_URL",
        "DRIVER",
        "ROLE",
        "GATE_DIR",
        "BOOT_ID",
        "METRICS_TOKEN",
        HOSTS,
        PARTS,
    ),
    *("WEB_TLS_CERTIFICATE", "WEB_TLS_KEY"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be enrolled, and where its worker finds the cloud."""

    name: str  # empty: the machine's own
    database: Place
    broker: Place
    broker_url: str  # of us, who make its user
    api: Place
    settings: dict[str, str]  # of this installation
    underlay_ip: str = ""  # by which other hosts carry guests' traffic there; empty: as it reaches the API
    rabbitmqctl: str = "rabbitmqctl"
    wheels: Path | None = None
    copy_packages: bool = False


class Enrolling:
    """One run of `host enroll`."""

    def __init__(self, remote: Remote, plan: Plan, progress: Progress) -> None:
        self._remote, self._plan, self._progress = remote, plan, progress
        self._name = plan.name
        self._underlay_ip = plan.underlay_ip
        self._changed = False  # whether the worker must begin anew

    def run(self) -> str:
        """Do what is still to do; returns the host's name. Raises Failure, RemoteError; then run it again."""
        facts = self._check()
        with self._progress.step("Code") as step:
            self._note(step, shipping.ship_code(self._remote), "shipped")
        with self._progress.step("Debian packages") as step:
            step.note = shipping.install_packages(self._remote, systemd=facts.systemd) or "all there"
        with self._progress.step("Python packages") as step:
            abi = facts.abi or survey.ask(self._remote).abi
            came = shipping.install_python(
                self._remote, abi=abi, wheels=self._plan.wheels, copy=self._plan.copy_packages
            )
            self._note(step, bool(came), f"from {came}" if came else "")
        known = self._known_settings()
        database_url, broker_url = self._accounts(known)
        with self._progress.step("Settings") as step:
            self._note(step, self._write_settings(known, database_url, broker_url), "written, for root alone")
        with self._progress.step("Database and broker let it in"):
            self._here("check")
        counter = self._register()
        with self._progress.step("Worker") as step:
            step.note = service.start(self._remote, systemd=facts.systemd, anew=self._changed)
        with self._progress.step("First heartbeat") as step:
            self._await_heartbeat(counter, step)
        return self._name

    def _check(self) -> survey.Facts:
        with self._progress.step(f"Log in to {self._remote.target}") as step:
            facts = survey.ask(self._remote)
            step.note = self._remote.fingerprint + (", new: it is kept" if self._remote.is_new else "")
        with self._progress.step("Check the machine") as step:
            self._name = self._name or facts.name
            survey.require_fit(facts)
            self._require_free_name()
            step.note = facts.in_words()
        with self._progress.step("It reaches the cloud") as step:
            places = {"database": self._plan.database, "broker": self._plan.broker, "API": self._plan.api}
            survey.require_reach(self._remote, [(name, one.host, one.port) for name, one in places.items()])
            step.note = ", ".join(f"{name} {one.host}:{one.port}" for name, one in places.items())
        with self._progress.step("Guests' traffic between hosts") as step:
            self._underlay_ip = self._underlay_ip or survey.address_towards(self._remote, self._plan.api.host)
            step.note = self._underlay_in_words()
        return facts

    def _underlay_in_words(self) -> str:
        if not self._underlay_ip:
            return "it has no IPv4 address for it: networks end at this host"
        if not self._plan.settings.get("UNDERLAY_IP"):
            return f"by {self._underlay_ip}; hosts of this machine have no COMPUTECLOUD_UNDERLAY_IP"
        return f"by {self._underlay_ip}"

    def _require_free_name(self) -> None:
        from hypervisors.registry import HOST_NAME
        from workers.models import Enrolment, Host

        if not HOST_NAME.fullmatch(self._name):
            raise Failure(f"{self._name!r} cannot name a host", advice="give another: --name NAME")
        known = Enrolment.objects.filter(host=self._name).first()
        if known is None and Host.objects.filter(name=self._name).exists():
            raise Failure(
                f"there is a host {self._name} already, on another machine", advice="give --name NAME"
            )
        if known is not None and known.fingerprint != self._remote.fingerprint:
            raise Failure(
                f"host {self._name} was enrolled on a machine with the key {known.fingerprint}; "
                f"{self._remote.target.machine} has {self._remote.fingerprint}",
                advice="give --name NAME; or, where the machine was made anew: host remove --gone, then enroll",
            )

    def _known_settings(self) -> dict[str, str]:
        words = shlex.split(self._remote.read(SETTINGS_FILE) or "", comments=True)
        pairs = (word.partition("=") for word in words)
        return {key.removeprefix(PREFIX): value for key, _, value in pairs}

    def _accounts(self, known: dict[str, str]) -> tuple[str, str]:
        """Have the worker's role and user; returns its addresses. Passwords that it has already stay."""
        role_name, user = role.name_of(self._name), account.name_of(self._name)
        with self._progress.step("Database role") as step:
            password = _password_in(known.get("DATABASE_URL", ""))
            is_new = role.make(role_name, password)
            step.note = f"{role_name}{'' if is_new else ', as before'}"
        database_url = self._plan.database.as_user(role_name, password)
        with self._progress.step("Broker user") as step:
            password = _password_in(known.get("BROKER_URL", ""))
            warning = account.make(
                self._plan.broker_url, self._name, password, rabbitmqctl=self._plan.rabbitmqctl
            )
            step.note = f"{user}{'; ' + warning if warning else ''}"
        return database_url, self._plan.broker.as_user(user, password)

    def _write_settings(self, known: dict[str, str], database_url: str, broker_url: str) -> bool:
        from workers import secrets as operation_secrets

        settings = {name: value for name, value in self._plan.settings.items() if name not in OURS} | {
            "DATABASE_URL": database_url,
            "BROKER_URL": broker_url,
            "HOST_NAME": self._name,
            "UNDERLAY_IP": self._underlay_ip,
            "DRIVER": "libvirt",
            "PUBLIC_URL": self._plan.api.url,
            "OPERATION_KEY": operation_secrets.key(),
            "SECRET_KEY": known.get("SECRET_KEY") or secrets.token_urlsafe(48),
            "STATE_DIR": shipping.STATE,
            PARTS: "host",
        }
        changed = False
        for path, file in {**self._plan.database.files, **self._plan.broker.files}.items():
            changed |= self._remote.write(path, file.read_bytes(), mode=0o600)
        lines = [f"{PREFIX}{key}={shlex.quote(value)}\n" for key, value in sorted(settings.items())]
        text = "# Written by `computecloud host enroll`.\n" + "".join(lines)
        return self._remote.write(SETTINGS_FILE, text.encode(), mode=0o600) or changed

    def _here(self, *words: str) -> str:
        return service.here(self._remote, *words)

    def _register(self) -> int:
        """Have the host in the database, taking no guests before its worker was heard; returns its counter."""
        from workers.models import Enrolment, Host

        target = self._remote.target
        with self._progress.step("Register"):
            Enrolment.objects.update_or_create(
                host=self._name,
                defaults={
                    "machine": target.machine,
                    "port": target.port,
                    "user": target.user,
                    "fingerprint": self._remote.fingerprint,
                    "database_role": role.name_of(self._name),
                    "broker_user": account.name_of(self._name),
                },
            )
            host, _ = Host.objects.get_or_create(
                name=self._name,
                defaults={
                    "id": uuid5(NAMESPACE_DNS, self._name),
                    "enabled": False,
                    "disabled_reason": "it is being enrolled",
                },
            )
        return host.counter

    def _await_heartbeat(self, counter: int, step: Step) -> None:
        from scheduling.models import Node
        from workers import hosts
        from workers.models import Enrolment, Host

        def heard() -> bool:
            host = Host.objects.get(name=self._name)
            return (
                host.alive
                and host.counter > counter
                and Node.objects.filter(host=host, present=True).exists()
            )

        def silent() -> Failure:
            said = service.last_words(self._remote, self._name)
            return Failure(
                f"the worker of {self._name} was not heard: {said}",
                advice=f"see {shipping.STATE}/log on {self._remote.target.machine}, mend, run this again",
            )

        step.wait(heard, seconds=HEARTBEAT_S, what="the worker", otherwise=silent)
        if not Enrolment.objects.get(host=self._name).finished:  # an operator's own word stays
            hosts.enable(name=self._name)
            Enrolment.objects.filter(host=self._name).update(finished=True)
        node = Node.objects.filter(host__name=self._name, present=True).first()
        step.note = f"node {node.name}, {node.hypervisor_type}" if node else ""

    def _note(self, step: Step, changed: Any, words: str) -> None:
        step.note = words if changed else "as before"
        self._changed = self._changed or bool(changed)


def _password_in(url: str) -> str:
    """Return the password in an address that the worker has already, or a new one."""
    return unquote(urlsplit(url).password or "") or secrets.token_urlsafe(24)


def remove(
    name: str, remote: Remote | None, *, broker_url: str, rabbitmqctl: str, progress: Progress
) -> None:
    """Undo an enrolment; without remote its machine is gone. Raises Failure where the host has guests."""
    from workers import hosts
    from workers.models import Enrolment

    enrolment = Enrolment.objects.filter(host=name).first()
    if enrolment is None:
        raise Failure(f"{name} was not enrolled", advice="bin/computecloud host list shows what there is")
    hosts.disable(name=name, reason="it is being removed")  # nothing new comes from here on
    _require_empty(name)
    if remote is not None:
        if remote.fingerprint != enrolment.fingerprint:
            raise Failure(
                f"{enrolment.machine} is not the machine that was enrolled: its key is {remote.fingerprint}",
                advice="where the machine was made anew: host remove --gone",
            )
        with progress.step("Stop the worker, remove what is ours there"):
            service.remove(remote)
    with progress.step("Database role"):
        role.drop(enrolment.database_role)
    with progress.step("Broker user"):
        account.drop(broker_url, name, rabbitmqctl=rabbitmqctl)
    with progress.step("Forget the host") as step:
        step.note = forget(name)


def _require_empty(name: str) -> None:
    from instances.models import Instance
    from scheduling.models import Allocation
    from workers.models import ACTIVE, Footprint, Operation

    here = {
        "servers": Instance.objects.filter(host=name, deleted=False).count(),
        "active operations": Operation.objects.filter(host=name, state__in=ACTIVE).count(),
        "claims": Allocation.objects.filter(node__host__name=name).count(),
        "footprints": Footprint.objects.filter(host=name).count(),
    }
    if found := [f"{count} {what}" for what, count in here.items() if count]:
        raise Failure(
            f"host {name} still has {', '.join(found)}; it takes no new guests",
            advice="move or delete its servers, let its worker clean up, and run this again",
        )


def forget(name: str) -> str:
    """Remove the host's rows and queues; returns what could not be removed with them, in words."""
    from django.db import transaction
    from kombu.exceptions import OperationalError

    from networking.services import spreading
    from scheduling.models import Node
    from workers import queues
    from workers.models import Enrolment, Host

    with transaction.atomic():
        Node.objects.filter(host__name=name).delete()
        found = Host.objects.filter(name=name).first()
        names = found.queues if found else ()
        Host.objects.filter(name=name).delete()
        spreading.forget(name)
        Enrolment.objects.filter(host=name).delete()
    try:
        for queue in names:
            queues.remove(queue)
    except OperationalError as error:
        return f"its queues are left: {error}"
    return ""
