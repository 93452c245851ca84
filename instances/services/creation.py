"""Creating servers: look everything up, then charge, row and operation in one transaction for all of them."""

import uuid
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction

import images.services
import networking.services
import quotas.services
from computecloud.config import CONFIG
from computecloud.wire.errors import InvalidInput, NotFound, QuotaExceeded
from identity.caller import Caller
from images.services import ImageFacts
from instances import naming, selectors, transitions
from instances.models import Flavor, Instance, KeyPair
from instances.services import fitting
from instances.services.requests import ServerRequest
from quotas.services import Demand
from scheduling import groups
from workers import secrets, sql
from workers.acceptance import accept

log = structlog.get_logger()

_NEW_NUMBER = "INSERT INTO instances_instancenumber DEFAULT VALUES RETURNING id"
_FORGET_NUMBERS = "DELETE FROM instances_instancenumber WHERE id BETWEEN %(first)s AND %(last)s"


@dataclass(frozen=True, slots=True)
class Created:
    """The servers of one request, in BUILD, and the id that they share."""

    reservation_id: str
    instances: list[Instance]


@dataclass(frozen=True, slots=True)
class _Found:
    """What the request names, looked up and found fitting."""

    flavor: Flavor
    image: ImageFacts
    key: KeyPair | None
    nics: list[dict[str, Any]]
    group_id: UUID | None


@dataclass(frozen=True, slots=True)
class _One:
    """What tells one server of a request from the others."""

    instance_id: UUID
    number: int
    index: int
    count: int
    reservation: str


def create(caller: Caller, request: ServerRequest) -> Created:
    """Accept min_count to max_count servers, as many as the quota has room for, or none.

    Raises InvalidInput, Forbidden, QuotaExceeded. The servers are in BUILD until their operations end.
    """
    found = _look_up(caller, request)
    reservation = naming.reservation_id()
    with transaction.atomic():
        ids = _charged(caller, request, found.flavor)
        numbers = _numbers(len(ids))
        rows = [
            _row(caller, request, found, _One(instance_id, number, index, len(ids), reservation))
            for index, (instance_id, number) in enumerate(zip(ids, numbers, strict=True))
        ]
        sql.insert(rows)
        if found.group_id is not None:
            groups.join(found.group_id, ids, project_id=rows[0].project_id, user_id=caller.user_id)
        for row in rows:
            operation = accept(
                kind="create",
                subject=("instance", row.id),
                project_id=row.project_id,
                user_id=row.user_id,
                params=_params(row, request, found),
            )
            if request.admin_pass and _password_is_read(row, request):
                secrets.keep(operation, {"admin_pass": request.admin_pass})
    log.info("instances.accepted", reservation_id=reservation, count=len(rows), first=str(rows[0].id))
    return Created(reservation_id=reservation, instances=rows)


def _look_up(caller: Caller, request: ServerRequest) -> _Found:
    try:
        flavor = selectors.flavor_for(request.flavor_id, caller)
    except NotFound as error:
        raise InvalidInput(error.message) from None
    if request.image_id is None:
        raise InvalidInput(
            "Invalid imageRef provided: booting from a volume is not offered here, name an image."
        )
    try:
        image = images.services.bootable(request.image_id, caller)
    except NotFound:
        raise InvalidInput("Can not find requested image") from None
    fitting.check_size(caller, flavor, image)
    fitting.check_hardware(flavor, image)
    key = None
    if request.key_name is not None:
        try:
            key = selectors.keypair(caller.user_id, request.key_name)
        except NotFound:
            raise InvalidInput("Invalid key_name provided.") from None
    fitting.check_user_data(request.user_data)
    fitting.check_destination(request.destination)
    group_id = fitting.check_group(caller, request.hints)
    planned = networking.services.plan(request.networks, caller, security_groups=request.security_groups)
    nics = [asdict(nic) for nic in planned]
    return _Found(flavor, image, key, nics, group_id)


def _charged(caller: Caller, request: ServerRequest, flavor: Flavor) -> list[UUID]:
    """Charge for as many servers as there is room for, min_count at least, and return their ids."""
    each = Demand(instances=1, cores=flavor.vcpus, ram_mib=flavor.ram, metadata_items=len(request.metadata))
    project_id = str(caller.project_id)
    ids = [uuid.uuid4() for _ in range(request.max_count)]
    try:
        quotas.services.charge(project_id, ids, each)
    except QuotaExceeded:
        room = quotas.services.room(project_id, each)
        if not request.min_count <= room < request.max_count:
            raise
        ids = ids[:room]
        quotas.services.charge(project_id, ids, each)
    return ids


def _numbers(count: int) -> list[int]:
    """Return new numbers; their rows go again at once, the sequence behind them never gives a number twice."""
    numbers: list[int] = [sql.fetch(_NEW_NUMBER, {})[0][0] for _ in range(count)]
    sql.execute(_FORGET_NUMBERS, {"first": numbers[0], "last": numbers[-1]})
    return numbers


def _row(caller: Caller, request: ServerRequest, found: _Found, one: _One) -> Instance:
    name = naming.numbered(request.name, one.index, one.count)
    wanted_hostname = naming.numbered(request.hostname, one.index, one.count) if request.hostname else None
    properties = found.image.properties
    return transitions.fresh(
        id=one.instance_id,
        number=one.number,
        project_id=caller.project_id,
        user_id=caller.user_id,
        name=name,
        description=request.description,
        hostname=wanted_hostname or naming.hostname(name, one.instance_id),
        availability_zone=request.destination.zone or "",
        pinned_zone=request.destination.zone,
        flavor_id=found.flavor.flavorid,
        flavor=found.flavor.embedded(),
        image_id=request.image_id,
        image_properties=properties,
        kernel_id=properties.get("kernel_id", ""),
        ramdisk_id=properties.get("ramdisk_id", ""),
        key_name=request.key_name,
        key_data=found.key.public_key if found.key else "",
        key_type=found.key.type if found.key else "",
        metadata=dict(request.metadata),
        tags=sorted(set(request.tags)),
        security_groups=[{"name": group} for group in sorted(set(request.security_groups))],
        scheduler_hints=dict(request.hints),
        trusted_certs=list(request.trusted_certs) if request.trusted_certs is not None else None,
        user_data=request.user_data,
        config_drive=request.config_drive
        or CONFIG.force_config_drive
        or properties.get("img_config_drive") == "mandatory",
        auto_disk_config=request.auto_disk_config,
        access_ip_v4=request.access_ip_v4,
        access_ip_v6=request.access_ip_v6,
        reservation_id=one.reservation,
        launch_index=one.index,
    )


def _password_is_read(row: Instance, request: ServerRequest) -> bool:
    """Tell whether a guest is told its password: on its config drive and nowhere else.

    One that we made is kept only for a drive that was asked for: a secret costs each boot three statements.
    """
    return bool(request.admin_pass) and (
        request.config_drive if request.admin_pass_is_made else row.config_drive
    )


def _params(row: Instance, request: ServerRequest, found: _Found) -> dict[str, Any]:
    """Return all that the steps of a boot need, so that none of them reads this room's tables again."""
    flavor, destination = found.flavor, request.destination
    return {
        "name": row.name,
        "guest_name": row.instance_name,
        "hostname": row.hostname,
        "project_id": row.project_id,
        "user_id": row.user_id,
        "reservation_id": row.reservation_id,
        "launch_index": row.launch_index,
        "flavor": {
            "id": flavor.flavorid,
            "name": flavor.name,
            "vcpus": flavor.vcpus,
            "ram_mib": flavor.ram,
            "disk_gib": flavor.disk,
            "ephemeral_gib": flavor.ephemeral,
            "swap_mib": flavor.swap,
            "extra_specs": flavor.extra_specs,
        },
        "image": asdict(found.image),
        "nics": found.nics,
        "security_groups": [group["name"] for group in row.security_groups],
        "key": {"name": row.key_name, "type": row.key_type, "public_key": row.key_data}
        if found.key
        else None,
        "metadata": row.metadata,
        "user_data": row.user_data,
        secrets.FLAG: _password_is_read(row, request),
        "config_drive": row.config_drive,
        "zone": destination.zone,
        "forced_host": destination.host,
        "forced_node": destination.node,
        "filters_apply": destination.checked,
        "hints": row.scheduler_hints,
        "tags": row.tags,
    }
