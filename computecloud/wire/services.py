"""The APIs that we serve: names, places, version ranges and the form of their faults."""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

FaultForm = Literal["nova", "keystone", "neutron", "glance", "placement"]
_NUMBERS = re.compile(r"([1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")


class Version(NamedTuple):
    """A microversion; ordered."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Return the version written as `2.19`; raises ValueError."""
        found = _NUMBERS.fullmatch(text)
        if found is None:
            raise ValueError(text)
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One API: `prefix` is its first path segment, `root` the segment of the served version."""

    name: str
    type: str
    prefix: str
    root: str
    min: Version
    max: Version
    faults: FaultForm
    microversions: bool = False
    legacy_root: str = ""
    legacy_header: str = ""
    catalog_path: str = ""


IDENTITY = Service(
    name="keystone",
    type="identity",
    prefix="identity",
    root="v3",
    min=Version(3, 14),
    max=Version(3, 14),
    faults="keystone",
    catalog_path="/identity",
)
COMPUTE = Service(
    name="nova",
    type="compute",
    prefix="compute",
    root="v2.1",
    min=Version(2, 1),
    max=Version(2, 104),
    faults="nova",
    microversions=True,
    legacy_root="v2",
    legacy_header="X-OpenStack-Nova-API-Version",
    catalog_path="/compute/v2.1",
)
IMAGE = Service(
    name="glance",
    type="image",
    prefix="image",
    root="v2",
    min=Version(2, 0),
    max=Version(2, 9),
    faults="glance",
    catalog_path="/image",
)
NETWORK = Service(
    name="neutron",
    type="network",
    prefix="network",
    root="v2.0",
    min=Version(2, 0),
    max=Version(2, 0),
    faults="neutron",
    catalog_path="/network",
)
PLACEMENT = Service(
    name="placement",
    type="placement",
    prefix="placement",
    root="",
    min=Version(1, 0),
    max=Version(1, 39),
    faults="placement",
    microversions=True,
    catalog_path="/placement",
)
OPERATIONS = Service(  # our own: what the engine does for a project
    name="operations",
    type="operations",
    prefix="operations",
    root="",
    min=Version(1, 0),
    max=Version(1, 0),
    faults="nova",
    catalog_path="/operations",
)
SERVICES = (IDENTITY, COMPUTE, IMAGE, NETWORK, PLACEMENT, OPERATIONS)
IN_CATALOG = (IDENTITY, COMPUTE, IMAGE, NETWORK)  # the others are not in OpenStack clients' words
_BY_PREFIX = {service.prefix: service for service in SERVICES}


def by_path(path: str) -> Service | None:
    """Return the service that a request's path belongs to, if any."""
    return _BY_PREFIX.get(path[1:].partition("/")[0])
