"""The base of every API view: who asks, at which version, with which body; and the answer."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from computecloud.wire import links, versions
from computecloud.wire.caller import Caller
from computecloud.wire.changes import Changes, Edition
from computecloud.wire.errors import CloudError, Forbidden, InvalidInput, NotFound
from computecloud.wire.links import Link
from computecloud.wire.paging import MAX_LIMIT, Page
from computecloud.wire.parsers import read_body
from computecloud.wire.renderers import JSONRenderer
from computecloud.wire.serializers import StrictSerializer, validate
from computecloud.wire.services import Service, Version

_RENDERER = JSONRenderer()


class ApiView(APIView):
    """One address of one service.

    Set `service` and, if it has versions, `changes`. `route` names the view in Route and Answer changes (default:
    the class's name). `public` views, or their `public_methods`, ask for no token; `needs_project` refuses tokens
    without a project (403).
    """

    service: ClassVar[Service]
    changes: ClassVar[Changes | None] = None
    route: ClassVar[str] = ""
    public: ClassVar[bool] = False
    public_methods: ClassVar[tuple[str, ...]] = ()
    needs_project: ClassVar[bool] = True
    media_types: ClassVar[tuple[str, ...]] = ("application/json",)
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]

    version: Version
    edition: Edition
    path_project_id: str | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.route = cls.__dict__.get("route") or cls.__name__
        if "service" in cls.__dict__ and cls.changes is None:
            cls.changes = Changes(cls.service)

    # What views use

    @cached_property
    def caller(self) -> Caller:
        """Return who is asking; raises Forbidden in a public view without a token."""
        user = self.request.user
        if not isinstance(user, Caller):
            raise Forbidden("This needs a token.")
        return user

    @property
    def project_id(self) -> str:
        """Return the project that the token is scoped to; raises Forbidden (403) when it has none."""
        project_id = self.caller.project_id
        if project_id is None:
            raise Forbidden("This needs a token that is scoped to a project.")
        return project_id

    def behaves(self, name: str) -> bool:
        """Tell whether a declared behaviour holds at the request's version."""
        return self.edition.behaves(name)

    def payload(self) -> Any:
        """Return the decoded JSON body as it is; None when there is none. Raises 400, 413, 415."""
        return read_body(self._plain, self.media_types)

    def body(self, serializer: type[StrictSerializer], key: str = "") -> dict[str, Any]:
        """Return the validated body, or the object under its only key; raises InvalidInput."""
        data = self.payload()
        if not isinstance(data, dict):
            raise InvalidInput("Malformed request body: it must be a JSON object.")
        if key:
            data = self.unwrap(data, key)
        return validate(self.edition, serializer, data, key)

    def unwrap(self, data: dict[str, Any], key: str) -> Any:
        """Return the value under the body's only key; raises InvalidInput."""
        if key not in data:
            raise InvalidInput(f"Invalid input for field/attribute body. '{key}' is a required property.")
        if len(data) > 1 and not self.edition.lenient:
            names = ", ".join(repr(name[:64]) for name in sorted(data.keys() - {key})[:5])
            raise InvalidInput(f"Additional properties are not allowed ({names} unexpected).")
        return data[key]

    def check(self, serializer: type[StrictSerializer], data: Any, path: str = "") -> dict[str, Any]:
        """Return a part of a body validated by a serializer, as action bodies need it; raises InvalidInput."""
        return validate(self.edition, serializer, data, path)

    def query(self, serializer: type[StrictSerializer]) -> dict[str, Any]:
        """Return the validated query; a field that is a list gets all values of its key, others the last."""
        plain: dict[str, Any] = {}
        fields = self.edition.serializer(serializer).fields
        for key, values in self._plain.GET.lists():
            if "\0" in key or any("\0" in value for value in values):
                raise InvalidInput("The query holds a NUL character.")
            plain[key] = values if hasattr(fields.get(key), "child") else values[-1]
        return validate(self.edition, serializer, plain, "")

    def page(self, query: Mapping[str, Any], max_limit: int = MAX_LIMIT) -> Page:
        """Return the page that a validated query (a PageQuery) asks for."""
        return Page.of(query, max_limit)

    def take_key(self, caller: Caller) -> None:
        """Have the request's Idempotency-Key count for whoever has just proved to a public view who he is.

        Raises CloudError (409) where it was used before: nothing may be done then.
        """
        take = getattr(self._plain, "take_key", None)
        if take is not None:
            take(caller)

    def require_route(self, route: str, method: str) -> None:
        """Raise NotFound when the version has no such action or method."""
        if not self.edition.has_route(route, method):
            raise NotFound("The resource could not be found.")

    def project(
        self, resource: str, view: str, superset: Mapping[str, Any], flags: frozenset[str] = frozenset()
    ) -> dict[str, Any]:
        """Return a superset as this version shows it."""
        return self.edition.projection(resource, view, flags)(superset)

    @cached_property
    def roots(self) -> tuple[str, str]:
        """Return the addresses (versioned, bookmark) below which this request's resources live."""
        return links.roots(self._plain, self.service, self.path_project_id)

    def links(self, path: str) -> list[Link]:
        """Return Nova's self and bookmark links of e.g. `servers/<id>`."""
        return links.item(self.roots, path)

    def next_links(self, page: Page, ids: Sequence[object]) -> list[Link]:
        """Return the link to the page after ids, or an empty list."""
        return page.next_links(self._plain, ids)

    def answer(
        self, body: Any = None, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Return the answer in the newest terms; a declared Answer change turns it into this version's."""
        found = dict(headers or {})
        declared = self.edition.answer(self.route, self.request.method or "")
        if declared is not None:
            status = declared.status or status
            body = body if declared.body else None
            found = {name: value for name, value in found.items() if name not in declared.without}
        return Response(body, status=status, headers=found)

    # What DRF calls

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer a request."""
        self._plain = request
        self.path_project_id = kwargs.pop("path_project_id", None)
        self._refusal: CloudError | None = None
        lenient = bool(self.service.legacy_root) and request.path.startswith(
            f"/{self.service.prefix}/{self.service.legacy_root}/"
        )
        self.version = self.service.min
        try:
            if not lenient:
                self.version = versions.negotiate(self.service, request.headers)
        except CloudError as refusal:
            self._refusal = refusal
        assert self.changes is not None
        self.edition = self.changes.at(self.version, lenient=lenient)
        return self._freed(super().dispatch(request, *args, **kwargs))

    def _freed(self, answer: HttpResponseBase) -> HttpResponseBase:
        """Render the answer, and undo the ring of view, answer and renderer's context that DRF makes.

        In it the bodies of large lists wait for a full garbage collection: hundreds of MiB after as many lists.
        """
        if isinstance(answer, Response):
            answer.render()
            answer.renderer_context = None  # type: ignore[attr-defined]  # DRF sets it
        del self.response
        return answer

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse who may not ask, versions that we do not have, and foreign projects in the path."""
        super().initial(request, *args, **kwargs)
        if self._refusal is not None:
            raise self._refusal
        if "\0" in request.path:
            raise NotFound("The resource could not be found.")
        if not self.edition.has_route(self.route, request.method or ""):
            raise NotFound("The resource could not be found.")
        if self._is_public():
            return
        self._plain.caller = self.caller  # type: ignore[attr-defined]
        if self.path_project_id is not None and self.path_project_id != self.caller.project_id:
            raise InvalidInput(
                f"Malformed request URL: URL's project_id '{self.path_project_id}' doesn't match "
                f"Context's project_id '{self.caller.project_id}'"
            )
        if self.needs_project:
            _ = self.project_id

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Say the version in the answer's headers, errors included."""
        final = super().finalize_response(request, response, *args, **kwargs)
        if not self.edition.lenient:
            versions.echo(self.service, self.version, final)
        return final

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Answer JSON whatever is accepted, as Nova does."""
        del request, force
        return _RENDERER, _RENDERER.media_type

    def get_authenticators(self) -> list[Any]:
        """Ask public views' callers for nothing."""
        return [] if self._is_public() else super().get_authenticators()

    def get_permissions(self) -> list[Any]:
        """Ask public views' callers for nothing."""
        return [] if self._is_public() else list(super().get_permissions())

    def _is_public(self) -> bool:
        return self.public or self._plain.method in self.public_methods

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Return no headers: every answer is JSON, so it does not vary by Accept."""
        return {}
