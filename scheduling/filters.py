"""The rules that remove nodes. A new filter is one function and one line in FILTERS, in the order of the verdicts."""

from collections.abc import Callable
from dataclasses import dataclass

from scheduling.request import Candidate, PlaceRequest


@dataclass(frozen=True, slots=True)
class Filter:
    """A rule: keeps tells whether a node stays; words say what is wrong with those that do not."""

    name: str
    keeps: Callable[[Candidate, PlaceRequest], bool]
    words: str


def _is_enabled(node: Candidate, _: PlaceRequest) -> bool:
    return node.enabled


def _is_up(node: Candidate, _: PlaceRequest) -> bool:
    return node.up and node.present


def _is_in_zone(node: Candidate, request: PlaceRequest) -> bool:
    return not request.zone or node.zone == request.zone


def _is_the_one_asked_for(node: Candidate, request: PlaceRequest) -> bool:
    return request.host in ("", node.host) and request.node in ("", node.name)


def _was_not_tried(node: Candidate, request: PlaceRequest) -> bool:
    return node.name not in request.excluded_nodes


def _has_room(node: Candidate, request: PlaceRequest) -> bool:
    return all(
        resource in node.stocks and node.stocks[resource].free >= amount
        for resource, amount in request.resources.items()
        if amount
    )


def _suits_the_image(node: Candidate, request: PlaceRequest) -> bool:
    properties = request.image_properties
    architecture = properties.get("hw_architecture") or properties.get("architecture")
    hypervisor = properties.get("img_hv_type") or properties.get("hypervisor_type")
    return (not architecture or architecture == node.architecture) and (
        not hypervisor or hypervisor.lower() in _HYPERVISOR_FAMILIES.get(node.hypervisor_type.lower(), ())
    )


_HYPERVISOR_FAMILIES = {"kvm": ("kvm", "qemu"), "qemu": ("qemu",), "fake": ("fake",), "lxc": ("lxc",)}

FILTERS = (
    Filter("enabled", _is_enabled, "on a disabled host"),
    Filter("up", _is_up, "on a host that is down"),
    Filter("zone", _is_in_zone, "outside the availability zone"),
    Filter("requested host", _is_the_one_asked_for, "not the host or node asked for"),
    Filter("not tried", _was_not_tried, "tried before, without success"),
    Filter("capacity", _has_room, "without enough free processors, memory or disk"),
    Filter("image properties", _suits_the_image, "unable to run the image's architecture or hypervisor type"),
)
