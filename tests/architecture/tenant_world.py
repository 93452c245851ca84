"""A world of two tenants, the victim and the stranger, each with one of each thing; and what tells that one leaks.

Every thing of a tenant has words that nothing else has: its names begin with the tenant's own, its ids and addresses
are its own. So a leak is found by looking for these words, in an answer's text and in the rows of the database.
"""

import base64
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from django.apps import apps
from django.db import connection, transaction

from computecloud.wire.caller import Caller
from computecloud.wire.services import COMPUTE, IDENTITY, IMAGE, NETWORK, Service
from identity import revocation, sharing
from identity.models import Domain, Group, GroupMember, Project, Role, RoleAssignment, User
from identity.services.bootstrap import bootstrap
from identity.testing import Api, caller, token_for
from images.models import Image
from images.states import Status
from instances.models import Flavor, Instance
from networking.models import Port
from networking.services import counting
from quotas import services as quotas
from tests.instances.conftest import Tenant as Owner
from tests.instances.conftest import a_server
from workers.models import Host, Operation, State, StepRun, Subject, utc_now

SECRETS = {"password", "token", "credential_secret"}  # who has one may use it: they are no ids
LIMIT = 7_000_000  # of a quota; a tenant's own number is added
_IDS = re.compile(r"(?:req-)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\b[0-9a-f]{32}\b|\br-[0-9a-z]{8}\b")
_MACS = re.compile(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b")
_WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE)\b")
_TABLE = re.compile(r'\b(?:INTO|UPDATE|FROM)\s+"?(\w+)')


@dataclass(repr=False)
class Tenant:
    """Who asks, and what is theirs: `things` by kind, `words` that nobody else has."""

    name: str
    number: int
    things: dict[str, str] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)
    who: Caller = field(default_factory=caller)
    keeper: Caller = field(default_factory=caller)  # the manager of the tenant's domain
    _apis: dict[Any, Api] = field(default_factory=dict)

    def __getitem__(self, kind: str) -> str:
        return self.things[kind]

    def values(self) -> dict[str, str]:
        """Return the tenant's things but for secrets and what is not its own, by kind."""
        return {
            kind: value
            for kind, value in self.things.items()
            if kind not in SECRETS and not kind.startswith("cloud_") and kind not in ("spec_key", "meta_key")
        }

    def api(self, service: Service, version: str = "", *, keeper: bool = False) -> Api:
        """Return the tenant's client of a service."""
        key = (service.type, version, keeper)
        if key not in self._apis:
            who = self.keeper if keeper else self.who
            self._apis[key] = Api(who, service, version=version, raise_errors=False)
        return self._apis[key]

    def make(self, service: Service, path: str, body: Any, method: str = "POST") -> Any:
        """Return the answer to a request that makes something; asserts that it did."""
        version = str(service.max) if service.microversions else ""
        answer = self.api(service, version).send(method, path, body)
        assert answer.status_code < 300, (path, body, answer.content)
        return answer.json() if answer.content else None

    def pattern(self) -> re.Pattern[str]:
        """Return what finds any of the tenant's words, in any case."""
        longest = sorted(self.words, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest)), re.IGNORECASE)


@dataclass(repr=False)
class World:
    """Both tenants, and where the victim's words stand in the database."""

    victim: Tenant
    stranger: Tenant
    leak: re.Pattern[str]
    rows: dict[str, set[str]] = field(default_factory=dict)

    def found(self, text: str, *said: str) -> str:
        """Return the first of the victim's words in a text, but for what the asker said."""
        for one in said:
            for form in forms(one):
                text = re.sub(re.escape(form), "", text, flags=re.IGNORECASE)
        hit = self.leak.search(text)
        return hit[0] if hit else ""

    def look(self) -> None:
        """Take what the victim has now for what it is to have."""
        self.rows = {table: found for table in tables() if (found := rows_with(self.leak, table))}

    def changes(self, tables: set[str]) -> tuple[list[str], list[tuple[str, str]]]:
        """Return which of the victim's rows in these tables are gone or changed, and which new rows name the victim."""
        lost, new = [], []
        for table in tables:
            before, now = self.rows.get(table, set()), rows_with(self.leak, table)
            lost += sorted(before - now)
            new += [(table, row) for row in sorted(now - before)]
        return lost, new


def forms(value: str) -> list[str]:
    """Return the forms in which a value is written: with and without dashes where it is an id."""
    plain = value.replace("-", "")
    return [value, plain, str(uuid.UUID(plain))] if re.fullmatch(r"[0-9a-f]{32}", plain) else [value]


def one_of(value: str) -> re.Pattern[str]:
    """Return what finds a value in any of its forms."""
    return re.compile("|".join(map(re.escape, forms(value))), re.IGNORECASE)


@contextmanager
def undone() -> Iterator[set[str]]:
    """Take back what is written in the block; gives the tables that were written to."""
    written: set[str] = set()

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if _WRITES.match(sql):
            written.update(_TABLE.findall(sql)[:1] or [f"which table? {sql}"])
        return execute(sql, params, many, context)

    with transaction.atomic(), connection.execute_wrapper(watch):
        yield written
        transaction.set_rollback(True)
    if written:
        revocation.forget()
        revocation.assume_current()


def tables() -> list[str]:
    """Return the tables of all models, also of those that Django makes between two."""
    return sorted({model._meta.db_table for model in apps.get_models(include_auto_created=True)})


def rows_with(pattern: re.Pattern[str], table: str) -> set[str]:
    """Return the rows of a table in which a pattern is found, as text."""
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT * FROM "{table}"')
        names = [column[0] for column in cursor.description or ()]
        texts = (repr(dict(zip(names, row, strict=True))) for row in cursor.fetchall())
        return {text for text in texts if pattern.search(text)}


def _all_rows() -> set[tuple[str, str]]:
    anything = re.compile("")
    return {(table, row) for table in tables() for row in rows_with(anything, table)}


def build() -> World:
    """Make the world."""
    bootstrap(admin_password="admin's password", demo_password="demo's password")
    Flavor.objects.create(flavorid="1", name="everybody's", ram=64, disk=1, vcpus=1)
    Host.objects.create(name="testhost", alive=True)
    # An image of nobody's is public, so that both tenants can boot.
    public = Image.objects.create(
        name="everybody's",
        project_id="f" * 32,
        status=Status.ACTIVE,
        visibility="public",
        disk_format="raw",
        container_format="bare",
        size_bytes=1_000,
    )
    revocation.forget()
    revocation.assume_current()
    stranger = _tenant("stoat", 41, public)
    before = {row for _, row in _all_rows()}
    victim = _tenant("quagga", 42, public)
    new = "\n".join(row for _, row in _all_rows() if row not in before)
    old = "\n".join(before)
    ids = {*_IDS.findall(new), *_MACS.findall(new)}
    ids -= {*_IDS.findall(old), *_MACS.findall(old)}
    victim.words |= {form for one in ids for form in forms(one)} | {victim.name}
    world = World(victim, stranger, victim.pattern())
    world.look()
    return world


def _tenant(name: str, number: int, public: Image) -> Tenant:
    one = Tenant(name, number)
    one.words |= {f"10.{number}.7.", f"2001:db8::{number}", f"{LIMIT + number}", _base64(name)}
    _identity(one)
    _network(one)
    _image(one)
    _flavor(one)
    _compute(one, public)
    _cloud(one, public)
    return one


def _named(one: Tenant, kind: str) -> str:
    """Name a thing, and remember the name as another of the tenant's things."""
    one.things[f"{kind}_name"] = name = f"{one.name}-{kind.replace('_', '-')}"
    return name


def _identity(one: Tenant) -> None:
    domain = Domain.objects.create(name=_named(one, "domain"), description=f"{one.name}'s")
    project = Project.objects.create(
        name=_named(one, "project"), domain=domain, parent_id=domain.id, tags=[f"{one.name}-project-tag"]
    )
    user = User(
        name=_named(one, "user"),
        domain=domain,
        default_project_id=project.id,
        email=f"{one.name}@example.org",
    )
    one.things["password"] = f"{one.name}'s password"
    user.set_password(one.things["password"])
    user.save(force_insert=True)
    other = User.objects.create(name=f"{one.name}-other", domain=domain)
    group = Group.objects.create(name=_named(one, "group"), domain=domain, description=f"{one.name}'s")
    GroupMember.objects.create(group=group, user=user)
    elsewhere = Project.objects.create(name=f"{one.name}-elsewhere", domain=domain, parent_id=domain.id)
    manager, member = Role.objects.get(name="manager"), Role.objects.get(name="member")
    RoleAssignment.objects.create(user=user, role=manager, project=project)
    RoleAssignment.objects.create(user=user, role=manager, domain=domain)
    RoleAssignment.objects.create(user=other, role=member, project=project)
    for holder in ({"user": user}, {"group": group}):
        RoleAssignment.objects.create(**holder, role=member, project=project)
        RoleAssignment.objects.create(**holder, role=member, domain=domain)
    one.things |= {"domain": domain.id, "project": project.id, "user": user.id, "group": group.id}
    one.things |= {"member_project": elsewhere.id, "other_user": other.id}
    one.things |= {"project_tag": f"{one.name}-project-tag"}
    one.who = caller(
        "manager",
        user_id=user.id,
        user_name=user.name,
        user_domain_id=domain.id,
        project_id=project.id,
        project_name=project.name,
        domain_id=domain.id,
    )
    one.keeper = replace(one.who, project_id=None, project_name=None, scope_domain_id=domain.id)
    one.things["token"] = token_for(replace(one.who, audit_id=f"{one.name}-audit"))
    rules = [{"service": "compute", "method": "GET", "path": f"/v2.1/{one.name}"}]
    body = {"name": _named(one, "credential"), "secret": f"{one.name}-secret", "access_rules": rules}
    made = one.make(IDENTITY, f"/users/{user.id}/application_credentials", {"application_credential": body})[
        "application_credential"
    ]
    one.things |= {"credential": made["id"], "rule": made["access_rules"][0]["id"]}
    one.things["credential_secret"] = f"{one.name}-secret"


def _network(one: Tenant) -> None:
    def make(plural: str, **fields: Any) -> str:
        singular = {"policies": "policy"}.get(plural.rpartition("_")[2], plural.removesuffix("s"))
        singular = "rbac_policy" if singular == "policy" else singular
        path = f"/{plural.replace('_', '-')}"
        return str(one.make(NETWORK, path, {singular: fields})[singular]["id"])

    things, at = one.things, f"10.{one.number}.7"
    things["network"] = make("networks", name=_named(one, "network"), description=f"{one.name}'s")
    things["subnet"] = make(
        "subnets", network_id=things["network"], cidr=f"{at}.0/24", name=_named(one, "subnet")
    )
    things["security_group"] = make("security_groups", name=_named(one, "security_group"))
    things["other_group"] = make("security_groups", name=_named(one, "other_group"))
    things["security_group_rule"] = make(
        "security_group_rules",
        security_group_id=things["security_group"],
        direction="ingress",
        remote_ip_prefix=f"{at}.0/24",
        description=f"{one.name}'s",
    )
    things |= {"address": f"{at}.99", "free_address": f"{at}.55", "address6": f"2001:db8::{one.number}"}
    things["port"] = make(
        "ports",
        network_id=things["network"],
        name=_named(one, "port"),
        fixed_ips=[{"ip_address": things["address"]}],
        security_groups=[things["security_group"]],
    )
    things["free_port"] = make("ports", network_id=things["network"], name=f"{one.name}-free-port")
    things["rbac_policy"] = make(
        "rbac_policies",
        object_type="network",
        object_id=things["network"],
        action="access_as_shared",
        target_tenant=things["member_project"],
    )
    things["mac"] = Port.objects.get(pk=things["port"]).mac
    things["network_tag"] = f"{one.name}-network-tag"
    for plural in ("networks", "subnets", "ports", "security-groups"):
        kind = plural.removesuffix("s").replace("-", "_")
        one.make(NETWORK, f"/{plural}/{things[kind]}/tags/{things['network_tag']}", None, "PUT")
    counting.set_limits(things["project"], {"network": LIMIT + one.number})


def _image(one: Tenant) -> None:
    things = one.things
    made = one.make(
        IMAGE,
        "/images",
        {
            "name": _named(one, "image"),
            "disk_format": "raw",
            "container_format": "bare",
            f"{one.name}_property": f"{one.name}-value",
            "tags": [f"{one.name}-image-tag"],
        },
    )
    things |= {"image": made["id"], "image_tag": f"{one.name}-image-tag"}
    content = f"{one.name}'s bytes".encode().ljust(1_024, b"\0")
    sent = one.api(IMAGE).put(f"/images/{made['id']}/file", content, Content_Type="application/octet-stream")
    assert sent.status_code == 204, sent.content
    one.make(IMAGE, f"/images/{made['id']}/members", {"member": things["member_project"]})
    queued = one.make(IMAGE, "/images", {"name": f"{one.name}-queued", "visibility": "private"})
    things["queued_image"] = queued["id"]


def _flavor(one: Tenant) -> None:
    private = Flavor.objects.create(
        flavorid=f"{one.name}-flavor-id",
        name=_named(one, "flavor"),
        ram=64,
        disk=1,
        vcpus=1,
        is_public=False,
        description=f"{one.name}'s",
        extra_specs={"hw:cpu_policy": "shared", f"{one.name}:spec": f"{one.name}-spec"},
    )
    sharing.share(private, one["project"])
    one.things |= {"flavor": private.flavorid, "spec_key": "hw:cpu_policy"}


def _compute(one: Tenant, public: Image) -> None:
    things = one.things
    quotas.set_limits(things["project"], cores=LIMIT + one.number)
    pair = {"name": _named(one, "keypair"), "type": "ssh", "public_key": public_key(one.name)}
    made = one.make(COMPUTE, "/os-keypairs", {"keypair": pair})["keypair"]
    one.words |= {made["fingerprint"], pair["public_key"].split()[1]}
    things["keypair"] = pair["name"]
    group = one.make(
        COMPUTE,
        "/os-server-groups",
        {"server_group": {"name": _named(one, "server_group"), "policy": "anti-affinity"}},
    )
    things["server_group"] = group["server_group"]["id"]
    _server(one)
    made = one.make(
        COMPUTE,
        "/servers",
        {
            "server": {
                "name": f"{one.name}-being-built",
                "flavorRef": "1",
                "imageRef": str(public.id),
                "networks": [{"uuid": things["network"]}],
                "key_name": things["keypair"],
                "metadata": {f"{one.name}-key": f"{one.name}-value"},
            },
            "os:scheduler_hints": {"group": things["server_group"]},
        },
    )["server"]
    things["building_server"] = made["id"]
    operation = Operation.objects.get(subject_id=made["id"])
    things["operation"] = str(operation.id)
    one.words.add(str(Instance.objects.get(id=made["id"]).reservation_id))


def public_key(name: str) -> str:
    """Return a public key that nobody else has."""
    raw = b"\0\0\0\x0bssh-ed25519\0\0\0 " + name.encode().ljust(32, b".")
    return f"ssh-ed25519 {base64.b64encode(raw).decode()} {name}@example.org"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode().rstrip("=")


def _server(one: Tenant) -> None:
    things = one.things
    address = {"addr": things["address"], "version": 4, "OS-EXT-IPS:type": "fixed"}
    address["OS-EXT-IPS-MAC:mac_addr"] = things["mac"]
    server = a_server(
        Owner(user_id=things["user"], project_id=things["project"]),
        "active",
        name=_named(one, "server"),
        description=f"{one.name}'s",
        hostname=f"{one.name}-host-name",
        host="testhost",
        node="testhost",
        image_id=things["image"],
        key_name=things["keypair"],
        metadata={"role": f"{one.name}-role"},
        tags=[f"{one.name}-server-tag"],
        addresses={things["network_name"]: [address]},
        user_data=_base64(one.name),
        access_ip_v6=f"2001:db8::{one.number}",
        fault={
            "code": 500,
            "message": f"{one.name}'s fault",
            "details": "",
            "created": "2026-01-01T00:00:00Z",
        },
        guest_password=f"{one.name}-guest-password",
        locked_reason=f"{one.name}-reason",
        security_groups=[{"name": things["security_group_name"]}],
    )
    Subject.objects.create(id=server.id, type="instance")
    things |= {"server": str(server.id), "meta_key": "role", "server_tag": f"{one.name}-server-tag"}
    things["reservation"] = f"r-{one.name}x"[:10]
    Instance.objects.filter(id=server.id).update(reservation_id=things["reservation"])
    Port.objects.filter(id=things["port"]).update(
        instance_id=server.id, device_id=str(server.id), device_owner="compute:nova", host="testhost"
    )
    at = utc_now()
    done = Operation.objects.create(
        kind="stop",
        state=State.FAILED,
        subject_type="instance",
        subject_id=server.id,
        project_id=things["project"],
        user_id=things["user"],
        request_id=f"req-{uuid.uuid4()}",
        host="testhost",
        finished_at=at,
        error=f"{one.name}'s error",
    )
    StepRun.objects.create(
        operation=done,
        step=f"{one.name}-step",
        attempt=1,
        host="testhost",
        started_at=at,
        finished_at=at,
        outcome="error",
        error=f"{one.name}'s error",
    )
    things |= {"request": done.request_id, "ended_operation": str(done.id)}


def _cloud(one: Tenant, public: Image) -> None:
    """Add what belongs to nobody, for the places where there is no thing of a tenant."""
    role, host = Role.objects.get(name="member"), Host.objects.get()
    one.things |= {"cloud_role": role.id, "cloud_host": str(host.id), "cloud_image": str(public.id)}
    for plural in ("services", "endpoints", "regions"):
        listed = one.make(IDENTITY, f"/{plural}", None, "GET")[plural]
        one.things[f"cloud_{plural}"] = listed[0]["id"]
