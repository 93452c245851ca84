"""The rules that remove nodes. A new filter is one function and one line in FILTERS, in the order of the verdicts."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from scheduling import query
from scheduling.models import Policy
from scheduling.request import Candidate, PlaceRequest


@dataclass(frozen=True, slots=True)
class Filter:
    """A rule: keeps tells whether a node stays; words say what is wrong with those that do not.

    concerns: whether the request asks for it at all; where not, no node is looked at.
    """

    name: str
    keeps: Callable[[Candidate, PlaceRequest], bool]
    words: str
    concerns: Callable[[PlaceRequest], object] = lambda _: True
    always: bool = False  # also where an admin forces a host or node
    details: Callable[[PlaceRequest], str] = lambda _: ""  # what of the request the words are about

    def in_words(self, request: PlaceRequest) -> str:
        """Say what is wrong with the nodes that this rule removes."""
        details = self.details(request)
        return f"{self.words} ({details})" if details else self.words


def _is_enabled(node: Candidate, _: PlaceRequest) -> bool:
    return node.enabled


def _is_up(node: Candidate, _: PlaceRequest) -> bool:
    return node.up and node.present


def _is_in_zone(node: Candidate, request: PlaceRequest) -> bool:
    return node.zone == request.zone


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


def _has_the_traits(node: Candidate, request: PlaceRequest) -> bool:
    return request.required_traits <= node.traits and request.forbidden_traits.isdisjoint(node.traits)


def _traits_in_words(request: PlaceRequest) -> str:
    return ", ".join(
        [*sorted(request.required_traits), *(f"no {one}" for one in sorted(request.forbidden_traits))]
    )


def _stands_with_its_group(node: Candidate, request: PlaceRequest) -> bool:
    return request.group is not None and request.group.anchor == node.id


def _stands_apart_from_its_group(node: Candidate, request: PlaceRequest) -> bool:
    return request.group is not None and node.members < request.group.max_per_node


def _has_one_of_same_host(node: Candidate, request: PlaceRequest) -> bool:
    return not request.same_host.isdisjoint(node.guests)


def _has_none_of_different_host(node: Candidate, request: PlaceRequest) -> bool:
    return request.different_host.isdisjoint(node.guests)


def _is_near(node: Candidate, request: PlaceRequest) -> bool:
    return ipaddress.ip_address(node.host_ip) in ipaddress.ip_network(request.near)


def _answers_the_query(node: Candidate, request: PlaceRequest) -> bool:
    return query.holds(request.query, node)


_HYPERVISOR_FAMILIES = {"kvm": ("kvm", "qemu"), "qemu": ("qemu",), "fake": ("fake",), "lxc": ("lxc",)}

FILTERS = (
    Filter("enabled", _is_enabled, "on a disabled host"),
    Filter("up", _is_up, "on a host that is down", always=True),
    Filter("zone", _is_in_zone, "outside the availability zone", lambda asked: asked.zone),
    Filter(
        "requested host",
        _is_the_one_asked_for,
        "not the host or node asked for",
        lambda asked: asked.host or asked.node,
        always=True,
    ),
    Filter(
        "not tried",
        _was_not_tried,
        "tried before, without success",
        lambda asked: asked.excluded_nodes,
        always=True,
    ),
    Filter("capacity", _has_room, "without enough free processors, memory or disk", always=True),
    Filter(
        "image properties",
        _suits_the_image,
        "unable to run the image's architecture or hypervisor type",
        lambda asked: asked.image_properties,
    ),
    Filter(
        "traits",
        _has_the_traits,
        "without a device or trait that image or flavor asks for, or with a forbidden one",
        lambda asked: asked.required_traits or asked.forbidden_traits,
        details=_traits_in_words,
    ),
    Filter(
        "affinity",
        _stands_with_its_group,
        "away from the others of its server group",
        lambda asked: asked.group and asked.group.anchor,
    ),
    Filter(
        "anti-affinity",
        _stands_apart_from_its_group,
        "with as many of its server group as may be on one",
        lambda asked: asked.group and asked.group.policy == Policy.ANTI_AFFINITY,
    ),
    Filter(
        "same host",
        _has_one_of_same_host,
        "without any of the servers of same_host",
        lambda asked: asked.same_host,
    ),
    Filter(
        "different host",
        _has_none_of_different_host,
        "with one of the servers of different_host",
        lambda asked: asked.different_host,
    ),
    Filter("near", _is_near, "outside the network of build_near_host_ip", lambda asked: asked.near),
    Filter(
        "query", _answers_the_query, "for which the hint's query does not hold", lambda asked: asked.query
    ),
)
