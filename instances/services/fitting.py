"""What a request for a server may ask for together: sizes, places, user data; each refusal in Nova's words."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import scheduling.selectors
from computecloud.wire.errors import Forbidden, InvalidInput
from identity.caller import Caller
from images.services import ImageFacts
from instances import hardware, hints, policies, selectors
from instances.models import Flavor
from instances.services.requests import Destination
from scheduling.models import Node
from workers.models import Host

USER_DATA_MAX_CHARS = 65_535
_GIB = 1 << 30


def check_size(caller: Caller, flavor: Flavor, image: ImageFacts) -> None:
    """Raise InvalidInput where the flavor is too small for the image, Forbidden for a diskless flavor."""
    if flavor.ram < image.min_ram_mib:
        raise InvalidInput("Flavor's memory is too small for requested image.")
    if flavor.disk == 0:
        if not policies.allows(caller, "os_compute_api:servers:create:zero_disk_flavor"):
            raise Forbidden("Only volume-backed servers are allowed for flavors with zero disk.")
        return
    if flavor.disk < image.min_disk_gib:
        raise InvalidInput(
            "Flavor's disk is smaller than the minimum size specified in image metadata. "
            f"Flavor disk is {flavor.disk * _GIB} bytes, minimum size is {image.min_disk_gib * _GIB} bytes."
        )
    if flavor.disk * _GIB < (image.size_bytes or 0):
        raise InvalidInput(
            "Flavor's disk is too small for requested image. "
            f"Flavor disk is {flavor.disk * _GIB} bytes, image is {image.size_bytes} bytes."
        )


def check_hardware(flavor: Flavor, image: ImageFacts) -> None:
    """Raise InvalidInput where flavor and image do not agree on the machine, or name what cannot be."""
    hardware.build(
        hardware.Wanted(flavor.name, flavor.vcpus, flavor.extra_specs, image.name, image.properties)
    )


def check_destination(wanted: Destination) -> None:
    """Raise InvalidInput where there is no such zone, host or node."""
    if wanted.zone is not None and wanted.zone not in selectors.zones():
        raise InvalidInput("The requested availability zone is not available")
    if wanted.host is not None and not Host.objects.filter(name=wanted.host).exists():
        raise InvalidInput(f"Compute host {wanted.host} could not be found.")
    if wanted.node is not None and not Node.objects.filter(name=wanted.node, present=True).exists():
        raise InvalidInput(f"Compute host {wanted.node} could not be found.")


def check_group(caller: Caller, wanted: Mapping[str, Any]) -> UUID | None:
    """Return the server group that the hints name; raises InvalidInput where it is none of the project's."""
    group_id = hints.group_id(wanted)
    if group_id is None:
        return None
    if not scheduling.selectors.groups(caller.project_id).filter(id=group_id).exists():
        raise InvalidInput(f"Instance group {group_id} could not be found.")
    return group_id


def check_user_data(user_data: str | None) -> None:
    """Raise InvalidInput where it is too long or no base64."""
    if user_data is None:
        return
    if len(user_data) > USER_DATA_MAX_CHARS:
        raise InvalidInput(f"User data too large. It may have {USER_DATA_MAX_CHARS} characters in base64.")
    try:
        base64.b64decode(user_data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("User data needs to be valid base 64.") from None
