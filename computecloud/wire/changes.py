"""Differences between API versions, declared by the rooms and compiled once a version.

Views work in the newest terms and yield a superset. A room's `api/changes.py` holds one `Changes` of five kinds:
Field (a key of an answer), Request (a key of a body or query), Route (a method or action), Answer (status, headers,
body or none), Behaviour (a named switch). `since` is the first version that has the thing, `until` the last one;
an empty text means always. Everything about one version is an `Edition`: `CHANGES.at(version)`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from computecloud.wire.services import Service, Version

ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The versions in which something holds, both ends included."""

    since: str = ""
    until: str = ""

    def holds(self, version: Version) -> bool:
        """Tell whether version lies inside."""
        return not (
            (self.since and version < Version.parse(self.since))
            or (self.until and version > Version.parse(self.until))
        )


@dataclass(frozen=True, slots=True)
class Field(Span):
    """A key of a resource's answer.

    `views`: the view kinds that have it, empty for all. `source`: the superset's key, when it differs.
    `policy`: shown only to callers with this flag. `optional`: left out when the superset lacks it.
    `shape`: the value (a dict, a list of them, or anything else as it is) is itself a resource of this name.
    """

    resource: str
    key: str
    views: tuple[str, ...] = ()
    source: str = ""
    policy: str = ""
    optional: bool = False
    shape: str = ""


@dataclass(frozen=True, slots=True)
class Request(Span):
    """A key that a serializer takes; the key `*` means that unknown keys are ignored instead of refused.

    `required_since`: the first version in which it must be there.
    """

    serializer: type
    key: str
    required_since: str = ""


@dataclass(frozen=True, slots=True)
class Route(Span):
    """A method (or action) of a route; `*` means all of them. Outside its versions it is 404 itemNotFound."""

    route: str
    method: str = ANY


@dataclass(frozen=True, slots=True)
class Answer(Span):
    """How a method answers in these versions, where that differs from what the view says.

    `status`: 0 leaves it. `without`: headers left out. `body`: False sends none.
    """

    route: str
    method: str
    status: int = 0
    without: tuple[str, ...] = ()
    body: bool = True


@dataclass(frozen=True, slots=True)
class Behaviour(Span):
    """A named switch that code asks with `behaves(name)`."""

    name: str


Change = Field | Request | Route | Answer | Behaviour


def fields(resource: str, keys: str, **common: Any) -> tuple[Field, ...]:
    """Return one Field for each of the space-separated keys, all with the same `common` arguments."""
    return tuple(Field(resource, key, **common) for key in keys.split())


class Projection:
    """Turns supersets of one resource into one view of it at one version, for one set of policy flags.

    `keys` and `sources` are the ordered keys of the answer and of the superset, for selectors that build rows
    themselves; `optional` are those (key, source) that may be absent.
    """

    __slots__ = ("_pick", "_shapes", "keys", "optional", "sources")

    def __init__(self, chosen: Sequence[Field], shape: Callable[[str], "Projection"]) -> None:
        fixed = [one for one in chosen if not one.optional]
        self.keys: tuple[str, ...] = tuple(one.key for one in fixed)
        self.sources: tuple[str, ...] = tuple(one.source or one.key for one in fixed)
        self.optional: tuple[tuple[str, str], ...] = tuple(
            (one.key, one.source or one.key) for one in chosen if one.optional
        )
        self._pick: Callable[[Mapping[str, Any]], tuple[Any, ...]] = (
            itemgetter(*self.sources) if len(self.sources) > 1 else _pick_few(self.sources)
        )
        self._shapes = tuple((one.key, shape(one.shape)) for one in chosen if one.shape)

    def __call__(self, superset: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer for one superset; raises KeyError when it lacks a key that is not optional."""
        answer = dict(zip(self.keys, self._pick(superset), strict=True))
        for key, source in self.optional:
            if source in superset:
                answer[key] = superset[source]
        for key, projection in self._shapes:
            if key in answer:
                answer[key] = _shaped(answer[key], projection)
        return answer

    def many(self, supersets: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the answers for many supersets."""
        return [self(superset) for superset in supersets]


def _pick_few(sources: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    return lambda superset: tuple(superset[source] for source in sources)


def _shaped(value: Any, projection: Projection) -> Any:
    if isinstance(value, list):
        return projection.many(value)
    return projection(value) if isinstance(value, dict) else value


@dataclass(frozen=True)
class Edition:
    """One service as it is at one version: what `CHANGES.at(version)` gives back, made once."""

    changes: "Changes"
    version: Version
    lenient: bool = False
    _projections: dict[tuple[str, str, frozenset[str]], Projection] = field(default_factory=dict)
    _serializers: dict[type, Any] = field(default_factory=dict)

    def projection(self, resource: str, view: str, flags: frozenset[str] = frozenset()) -> Projection:
        """Return the compiled projection; raises KeyError for a resource that declares no field."""
        key = (resource, view, flags)
        found = self._projections.get(key)
        if found is None:
            found = self._projections[key] = self._compile(resource, view, flags)
        return found

    def behaves(self, name: str) -> bool:
        """Tell whether the named behaviour holds; raises KeyError when nobody declared it."""
        return any(span.holds(self.version) for span in self.changes.behaviours[name])

    def has_route(self, route: str, method: str) -> bool:
        """Tell whether the route takes the method (or action) at this version; undeclared ones always do."""
        every = [*self.changes.routes.get((route, ANY), ()), *self.changes.routes.get((route, method), ())]
        return all(span.holds(self.version) for span in every)

    def answer(self, route: str, method: str) -> Answer | None:
        """Return the declared difference of the method's answer, if one holds."""
        for one in self.changes.answers.get((route, method), ()):
            if one.holds(self.version):
                return one
        return None

    def takes(self, serializer: type, key: str) -> bool:
        """Tell whether the serializer takes the key at this version."""
        spans = self.changes.requests.get((serializer, key), ())
        return not spans or any(span.holds(self.version) for span in spans)

    def requires(self, serializer: type, key: str) -> bool:
        """Tell whether a declared change makes the key required at this version."""
        return any(
            one.required_since and Span(since=one.required_since).holds(self.version)
            for one in self.changes.requests.get((serializer, key), ())
        )

    def ignores_unknown(self, serializer: type) -> bool:
        """Tell whether unknown keys are dropped instead of refused."""
        spans = self.changes.requests.get((serializer, ANY), ())
        return self.lenient or any(span.holds(self.version) for span in spans)

    def serializer(self, cls: type) -> Any:
        """Return the shared, stateless instance of a StrictSerializer class that validates at this version."""
        found = self._serializers.get(cls)
        if found is None:
            found = self._serializers[cls] = cls(context={"edition": self})
        return found

    def _compile(self, resource: str, view: str, flags: frozenset[str]) -> Projection:
        chosen: dict[str, Field] = {}
        for one in self.changes.fields[resource]:
            if _applies(one, view, flags) and one.holds(self.version):
                if one.key in chosen:
                    raise ValueError(f"{resource}.{one.key} is declared twice for {view} at {self.version}")
                chosen[one.key] = one
        return Projection(tuple(chosen.values()), lambda name: self.projection(name, view, flags))


def _applies(one: Field, view: str, flags: frozenset[str]) -> bool:
    return (not one.views or view in one.views) and (not one.policy or one.policy in flags)


class Changes:
    """All declared changes of one service."""

    def __init__(self, service: Service, *declared: Change | Iterable[Change]) -> None:
        self.service = service
        self.fields: dict[str, list[Field]] = {}
        self.requests: dict[tuple[type, str], list[Request]] = {}
        self.routes: dict[tuple[str, str], list[Route]] = {}
        self.answers: dict[tuple[str, str], list[Answer]] = {}
        self.behaviours: dict[str, list[Behaviour]] = {}
        self.declared: tuple[Change, ...] = tuple(_flat(declared))
        for change in self.declared:
            self._file(change)
        self._editions: dict[tuple[Version, bool], Edition] = {}

    def at(self, version: Version, *, lenient: bool = False) -> Edition:
        """Return the service at this version; lenient drops unknown keys of bodies, as the oldest API root did."""
        found = self._editions.get((version, lenient))
        if found is None:
            found = self._editions[version, lenient] = Edition(self, version, lenient)
        return found

    def _file(self, change: Change) -> None:
        match change:
            case Field():
                self.fields.setdefault(change.resource, []).append(change)
            case Request():
                self.requests.setdefault((change.serializer, change.key), []).append(change)
            case Route():
                self.routes.setdefault((change.route, change.method), []).append(change)
            case Answer():
                self.answers.setdefault((change.route, change.method), []).append(change)
            case Behaviour():
                self.behaviours.setdefault(change.name, []).append(change)


def _flat(declared: Iterable[Change | Iterable[Change]]) -> Iterable[Change]:
    for one in declared:
        if isinstance(one, Span):
            yield one
        else:
            yield from one
