"""The document: drf-spectacular walks the routes; what each takes and answers is read from our own declarations."""

from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any, cast

from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from computecloud.openapi import reading, shapes
from computecloud.openapi.reading import Read
from computecloud.wire import faults
from computecloud.wire.changes import Edition
from computecloud.wire.routes import mount
from computecloud.wire.services import COMPUTE
from computecloud.wire.versions import STANDARD_HEADER
from computecloud.wire.views import ApiView
from instances.api.actions import ACTIONS, ActionView
from instances.api.changes import CHANGES
from instances.api.urls import urlpatterns

ANYTHING: dict[str, Any] = {"type": "object", "additionalProperties": True}
VERSION = OpenApiParameter(
    STANDARD_HEADER,
    {"type": "string", "example": f"{COMPUTE.type} {COMPUTE.max}"},
    OpenApiParameter.HEADER,
    description=f"`{COMPUTE.type} X.Y` from {COMPUTE.min} (also the default) to {COMPUTE.max}, or `latest`.",
)
ABOUT = (
    f"Servers, flavors and key pairs. This is version {COMPUTE.max}, which clients ask for by the header "
    f"{STANDARD_HEADER}; older ones lack some keys, and take others."
)


class StrictFields(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """Tells drf-spectacular what our fields take."""

    target_class = "computecloud.wire.fields.StrictField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        """Return the field's schema."""
        del auto_schema, direction
        return shapes.of(self.target)


class Operation(AutoSchema):
    """One method of one address, at the newest version."""

    @property
    def edition(self) -> Edition:
        """Return the newest version's changes."""
        return CHANGES.at(COMPUTE.max)

    @property
    def shown(self) -> ApiView:
        """Return the view."""
        return cast(ApiView, self.view)

    @cached_property
    def read(self) -> Read:
        """Return what the method takes and answers."""
        return reading.method(type(self.shown), self.method.lower())

    def get_operation_id(self) -> str:
        """Return a name that no other operation has: a view has one address."""
        return f"{type(self.view).__name__.removesuffix('View')}_{self.method.lower()}"

    def get_summary(self) -> str:
        """Return the first line of what the method says of itself."""
        return (getattr(self.view, self.method.lower()).__doc__ or "").strip().partition("\n")[0]

    def get_description(self) -> str:  # type: ignore[override]  # as in drf-spectacular itself
        """Return what the view says of itself."""
        return (type(self.view).__doc__ or "").strip()

    def get_tags(self) -> list[str]:
        """Return the collection."""
        return [self.path.split("/")[3]]

    def is_deprecated(self) -> bool:
        """Tell whether the newest version has the route no more."""
        return not self.edition.has_route(self.shown.route, self.method)

    def get_auth(self) -> list[dict[str, Any]]:
        """Return what a caller must show."""
        return [{"token": []}]

    def get_filter_backends(self) -> list[Any]:
        """Return none: our queries are serializers."""
        return []

    def map_parsers(self) -> list[str]:
        """Return what bodies are written in."""
        return list(self.shown.media_types)

    def map_renderers(self, attribute: str) -> list[str]:
        """Return what answers are written in."""
        del attribute
        return ["application/json"]

    def get_override_parameters(self) -> list[Any]:
        """Return the version's header and the keys of the query."""
        queries = [self.edition.serializer(one) for one in self.read.queries]
        return [VERSION, *(one for one in queries if one.fields)]

    def get_request_serializer(self) -> Any:
        """Return what the body is, by its media type; None where there is none."""
        read = self.read
        if isinstance(self.view, ActionView):
            schema = self._actions()
        elif read.bodies:
            serializer, key = read.bodies[0]
            made = self.resolve_serializer(self.edition.serializer(serializer), "request").ref
            schema = self._under(key, made) if key else made
        elif read.has_payload:
            schema = ANYTHING
        else:
            return None
        return dict.fromkeys(self.map_parsers(), schema)

    def get_response_serializers(self) -> Any:
        """Return what is answered, by status."""
        read, declared = self.read, self.edition.answer(self.shown.route, self.method)
        statuses = {declared.status} if declared and declared.status else read.statuses or {200}
        body = self._answered(read)
        found: dict[str, Any] = {
            str(status): OpenApiResponse(
                None if status == 204 or not body["properties"] else body, description="It is done, or begun."
            )
            for status in sorted(statuses)
        }
        return found | {"default": OpenApiResponse(self._fault(), description="It is refused.")}

    def _answered(self, read: Read) -> dict[str, Any]:
        resources = {name: self._resource(name, view) for name, view in read.resources}
        properties: dict[str, Any] = {}
        for key in read.keys:
            if key in resources:
                properties[key] = resources[key]
            elif key.removesuffix("s") in resources:
                properties[key] = {"type": "array", "items": resources[key.removesuffix("s")]}
        return {"type": "object", "properties": properties}

    def _resource(self, name: str, view: str) -> dict[str, Any]:
        keys = [one for one in CHANGES.fields.get(name, ()) if one.holds(COMPUTE.max)]
        shown: dict[str, Any] = {
            one.key: {} for one in keys if not one.views or view in one.views or view == "detail"
        }
        return self._component(name.capitalize(), {"type": "object", "properties": shown})

    def _fault(self) -> dict[str, Any]:
        said = {"type": "object", "properties": {"code": {"type": "integer"}, "message": {"type": "string"}}}
        keys = sorted({*faults.NOVA_KEYS.values(), "computeFault"})
        schema = {"type": "object", "properties": dict.fromkeys(keys, said), "maxProperties": 1}
        return self._component("Fault", schema)

    def _component(self, name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        made = ResolvedComponent(  # type: ignore[no-untyped-call]
            name, ResolvedComponent.SCHEMA, schema=dict(schema), object=name
        )
        self.registry.register_on_missing(made)
        found: dict[str, Any] = made.ref
        return found

    def _actions(self) -> dict[str, Any]:
        """Return the bodies of all actions: each an object with the action's name as its one key."""
        bodies = []
        for name, handler in ACTIONS.items():
            if not self.edition.has_route(self.shown.route, name):
                continue
            parts = reading.function(handler, ActionView).parts
            made = [self.resolve_serializer(self.edition.serializer(one), "request").ref for one in parts]
            bodies.append(self._under(name, made[0] if made else {"nullable": True}))
        return {"oneOf": bodies}

    @staticmethod
    def _under(key: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {key: dict(schema)},
            "required": [key],
            "additionalProperties": False,
        }


class Generator(SchemaGenerator):
    """Walks the routes of the newest root."""

    def create_view(self, callback: Any, method: str, request: Any = None) -> Any:
        """Return a view that describes itself by our declarations."""
        view = super().create_view(callback, method, request)  # type: ignore[no-untyped-call]
        view.schema = Operation()
        view._plain = HttpRequest()
        view._plain.method = method
        return view


@cache
def document() -> dict[str, Any]:
    """Return the document; made once a process."""
    generator = Generator(patterns=mount(COMPUTE, urlpatterns))  # type: ignore[no-untyped-call]
    made: dict[str, Any] = generator.get_schema(public=True)  # type: ignore[no-untyped-call]
    made["info"] = {"title": "Compute API", "version": str(COMPUTE.max), "description": ABOUT}
    token = {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}
    made.setdefault("components", {})["securitySchemes"] = {"token": token}
    return made
