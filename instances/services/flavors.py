"""Making, describing and removing flavors, their extra specs and who may use them."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from django.db import IntegrityError, transaction

from computecloud.wire.errors import Conflict, NotFound
from identity import sharing
from instances import selectors
from instances.models import Flavor

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFlavor:
    """What makes a flavor: ram and swap in MiB, disk and ephemeral in GiB; flavorid None makes a uuid."""

    name: str
    ram: int
    vcpus: int
    disk: int
    flavorid: str | None = None
    ephemeral: int = 0
    swap: int = 0
    rxtx_factor: float = 1.0
    is_public: bool = True
    description: str | None = None


def create(facts: NewFlavor) -> Flavor:
    """Make a flavor; one that is not public is open to nobody yet. Raises Conflict where name or id is taken."""
    flavor = Flavor(
        flavorid=facts.flavorid or str(uuid.uuid4()),
        name=facts.name,
        ram=facts.ram,
        vcpus=facts.vcpus,
        disk=facts.disk,
        ephemeral=facts.ephemeral,
        swap=facts.swap,
        rxtx_factor=facts.rxtx_factor,
        is_public=facts.is_public,
        description=facts.description,
    )
    try:
        with transaction.atomic():
            flavor.save(force_insert=True)
    except IntegrityError:
        if Flavor.objects.filter(name=facts.name).exists():
            raise Conflict(f"Flavor with name {facts.name} already exists.") from None
        raise Conflict(f"Flavor with ID {flavor.flavorid} already exists.") from None
    log.info("flavor.created", flavor_id=flavor.flavorid, name=flavor.name)
    return flavor


def describe(flavorid: str, *, description: str | None) -> Flavor:
    """Change the description, the one thing of a flavor that changes; raises NotFound."""
    if not Flavor.objects.filter(flavorid=flavorid).update(description=description):
        raise _missing(flavorid)
    return selectors.flavor(flavorid)


def delete(flavorid: str) -> None:
    """Remove a flavor; servers made with it keep their copy. Raises NotFound."""
    removed, _ = Flavor.objects.filter(flavorid=flavorid).delete()
    if not removed:
        raise _missing(flavorid)
    log.info("flavor.deleted", flavor_id=flavorid)


def set_extra_specs(flavorid: str, specs: Mapping[str, str]) -> dict[str, str]:
    """Add or replace extra specs and return those that are set now; raises NotFound."""
    return _change_specs(flavorid, add=specs, remove=None)


def unset_extra_spec(flavorid: str, key: str) -> None:
    """Remove one extra spec; raises NotFound."""
    _change_specs(flavorid, add={}, remove=key)


def _change_specs(flavorid: str, *, add: Mapping[str, str], remove: str | None) -> dict[str, str]:
    """Write by compare-and-set on the old specs, so that two writers do not lose each other's keys."""
    while True:
        flavor = selectors.flavor(flavorid)
        if remove is not None and remove not in flavor.extra_specs:
            raise NotFound(f"Flavor {flavorid} has no extra specs with key {remove}.")
        specs: dict[str, str] = {k: v for k, v in flavor.extra_specs.items() if k != remove} | dict(add)
        unchanged = Flavor.objects.filter(pk=flavor.pk, extra_specs=flavor.extra_specs)
        if unchanged.update(extra_specs=specs):
            return specs


def add_access(flavorid: str, *, project_id: str) -> list[str]:
    """Let a project use a flavor that is not public; raises NotFound, Conflict."""
    flavor = selectors.flavor(flavorid)
    if flavor.is_public:
        raise Conflict("Can not add access to a public flavor.")
    if not sharing.share(flavor, project_id):
        raise Conflict(
            f"Flavor access already exists for flavor {flavorid} and project {project_id} combination."
        )
    return sharing.projects_of(flavor)


def remove_access(flavorid: str, *, project_id: str) -> list[str]:
    """Take the use of a flavor from a project; raises NotFound."""
    flavor = selectors.flavor(flavorid)
    if not sharing.unshare(flavor, project_id):
        raise NotFound(f"Flavor access not found for {flavorid} / {project_id} combination.")
    return sharing.projects_of(flavor)


def _missing(flavorid: str) -> NotFound:
    return NotFound(f"Flavor {flavorid} could not be found.")
