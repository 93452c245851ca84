"""Bodies of requests: one valid body for each, and what may stand in each of its places that could hold a thing.

A place is the way to it in the body, `server/networks/0/uuid`. The serializers say which places there are; here stands
what goes into them, and a place of which nothing stands here fails a test.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from rest_framework import serializers

from computecloud.wire.changes import Edition
from computecloud.wire.serializers import StrictSerializer
from computecloud.wire.services import Service
from instances.api import server_bodies
from tests.architecture.tenant_sweep import CANNOT_REFER
from tests.architecture.tenant_world import Tenant


@dataclass(frozen=True)
class Slot:
    """What stands in a place: a thing of this kind, or `=` and a word.

    `free`: what anybody may write there, for nobody looks it up, or that may name anybody by design.
    `refused`: it is refused whatever it says. `beside`: what must stand in other places then; None for nothing.
    `taken`: only what is nobody's is taken, as for an id that one chooses.
    """

    kind: str
    free: bool = False
    refused: bool = False
    taken: bool = False
    beside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_word(self) -> bool:
        """Tell whether nothing of a tenant's stands there."""
        return self.kind.startswith(("=", "cloud_"))


def ref(kind: str, **beside: Any) -> Slot:
    """Return a place that names one of the asker's things, and never another's."""
    return Slot(kind, beside=beside)


def free(kind: str, **beside: Any) -> Slot:
    """Return a place where anything may be said."""
    return Slot(kind, free=True, beside=beside)


def word(text: str, **beside: Any) -> Slot:
    """Return a place where one of a few words stands."""
    return Slot(f"={text}", beside=beside)


def never() -> Slot:
    """Return a place that nothing may be said in, or by nobody but admins."""
    return Slot("=", refused=True)


@dataclass(frozen=True)
class Template:
    """A valid body of a method of a view; `place`: where its serializer stands in it."""

    service: Service
    view: str
    method: str
    serializer: type[StrictSerializer]
    body: Callable[[Tenant], Any]
    slots: Mapping[str, Slot] = field(default_factory=dict)
    place: str = ""
    path: Mapping[str, str] = field(
        default_factory=dict
    )  # kinds in places of the address, where not the usual
    admins: bool = False
    keeper: bool = False  # the manager of a domain asks
    write: Callable[[Any], Any] = deepcopy
    headers: Mapping[str, str] = field(default_factory=dict)
    oldest: Mapping[str, Any] = field(default_factory=dict)  # what stands elsewhere at the oldest version

    def __str__(self) -> str:
        return f"{self.method} {self.view} {self.place}"

    def made(self, tenant: Tenant, path: str = "", value: Any = None, *, oldest: bool = False) -> Any:
        """Return the body with a value at a place."""
        body = deepcopy(self.body(tenant))
        beside = [
            *(self.oldest if oldest else {}).items(),
            *(self.slots[path].beside if path else {}).items(),
        ]
        for other, stands in beside:
            is_thing = isinstance(stands, str) and stands.startswith("@")
            put(body, other, tenant[stands[1:]] if is_thing else stands)
        if path:
            put(body, path, value)
        return self.write(body)


def put(body: Any, path: str, value: Any) -> None:
    """Put a value at a place of a body; None takes away what is there."""
    *way, last = path.split("/")
    for at, step in enumerate(way):
        after = way[at + 1] if at + 1 < len(way) else last
        empty: Any = [] if after == "0" else {}
        if isinstance(body, list):
            body[:] = body or [empty]
            body = body[0]
        else:
            if not isinstance(body.get(step), dict | list):
                body[step] = empty
            body = body[step]
    if isinstance(body, list):
        body[:] = [] if value is None else [value]
    elif value is None:
        body.pop(last, None)
    else:
        body[last] = value


def leaves(one: Any, at: Edition, path: str = "") -> Iterator[str]:
    """Return the places below a field or serializer that may hold a thing's id or name."""
    if isinstance(one, server_bodies.Networks):
        yield from leaves(at.serializer(server_bodies.Network), at, f"{path}/0")
    elif isinstance(one, serializers.ListSerializer | serializers.ListField):
        yield from leaves(one.child, at, f"{path}/0")
    elif isinstance(one, StrictSerializer):
        for key, inner in at.serializer(type(one)).fields.items():
            yield from leaves(inner, at, f"{path}/{key}")
    elif not isinstance(one, CANNOT_REFER):
        yield path.removeprefix("/")


def places_of(template: Template, at: Edition) -> set[str]:
    """Return the places of a template's body that may hold a thing's id or name, at a version."""
    found = leaves(at.serializer(template.serializer), at)
    return {f"{template.place}/{path}".removeprefix("/") for path in found}


def inside(serializer: Any) -> Iterator[type[StrictSerializer]]:
    """Return a serializer's class, those that it is made from, and those of its parts."""
    yield from (one for one in serializer.__mro__ if issubclass(one, StrictSerializer))
    for one in serializer._declared_fields.values():
        inner = getattr(one, "child", one)
        if isinstance(one, server_bodies.Networks):
            yield server_bodies.Network
        if isinstance(inner, StrictSerializer):
            yield from inside(type(inner))


def made_of(one: type[StrictSerializer] = StrictSerializer) -> Iterator[type[StrictSerializer]]:
    """Return the serializers of the product."""
    for inner in one.__subclasses__():
        if not inner.__module__.startswith("tests."):
            yield inner
            yield from made_of(inner)


def filled_in(key: str, **values: Any) -> Callable[[Tenant], Any]:
    """Return what makes a body of values, with the tenant's things where a value begins with `@`."""

    def body(tenant: Tenant) -> Any:
        made = {
            name: tenant[value[1:]] if isinstance(value, str) and value.startswith("@") else value
            for name, value in values.items()
        }
        return {key: made} if key else made

    return body


def below(place: str, slots: Mapping[str, Slot]) -> dict[str, Slot]:
    return {
        f"{place}/{path}": Slot(
            slot.kind,
            free=slot.free,
            refused=slot.refused,
            taken=slot.taken,
            beside={f"{place}/{other}": value for other, value in slot.beside.items()},
        )
        for path, slot in slots.items()
    }


def template(
    service: Service, view: str, method: str, serializer: type[StrictSerializer], place: str = "", **more: Any
) -> Template:
    """Return a template; `least` are the values of the least body, `slots` are below `place`."""
    least, slots = more.pop("least", {}), more.pop("slots", {})
    return Template(
        service,
        view,
        method,
        serializer,
        filled_in(place, **least),
        below(place, slots) if place else slots,
        place,
        **more,
    )
