"""A small compute API with one difference of each kind, for the wire's tests."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.urls import path
from rest_framework import serializers

from computecloud.wire import discovery, errors, fields
from computecloud.wire.caller import Caller
from computecloud.wire.changes import Answer, Behaviour, Changes, Field, Request, Route
from computecloud.wire.changes import fields as declare
from computecloud.wire.paging import PageQuery
from computecloud.wire.routes import mount, mount_with_projects
from computecloud.wire.serializers import StrictSerializer
from computecloud.wire.services import COMPUTE, IDENTITY, IMAGE, NETWORK, PLACEMENT
from computecloud.wire.views import ApiView

ALICE = Caller(
    user_id="u1",
    user_name="alice",
    project_id="a" * 32,
    project_name="alices",
    roles=frozenset({"member"}),
    issued_at=datetime.now(UTC),
    expires_at=datetime.now(UTC),
)


class Anybody:
    """Takes the token `alice`, and `unscoped` for the same user without a project."""

    def authenticate(self, request: Any) -> tuple[Caller, str] | None:
        token = request.META.get("HTTP_X_AUTH_TOKEN")
        if token == "unscoped":
            return replace(ALICE, project_id=None), token
        return (ALICE, token) if token == "alice" else None

    def authenticate_header(self, request: Any) -> str:
        return "Keystone"


class NicBody(StrictSerializer):
    uuid = fields.Uuid(required=False)
    tag = fields.Text(max_length=60, required=False)


class ThingBody(StrictSerializer):
    keys = {"disk_config": "OS-DCF:diskConfig"}
    name = fields.Name()
    size = fields.Integer(min_value=1, max_value=100, required=False)
    shared = fields.Boolean(required=False)
    disk_config = fields.Choice(["AUTO", "MANUAL"], required=False)
    description = fields.Text(multiline=True, allow_null=True, required=False)
    metadata = fields.Metadata(required=False)
    networks = NicBody(many=True, required=False)


class ThingQuery(PageQuery):
    name = fields.Text(required=False)
    status = serializers.ListField(child=fields.Text(), required=False)


CHANGES = Changes(
    COMPUTE,
    declare("thing", "id name", views=("brief", "show")),
    declare("thing", "size", views=("show",)),
    Field("thing", "flavor", views=("show",), source="flavor_link", until="2.46"),
    Field("thing", "flavor", views=("show",), shape="flavor", since="2.47"),
    declare("flavor", "ram vcpus"),
    Field("flavor", "extra_specs", since="2.61", optional=True),
    Field("thing", "description", views=("show",), since="2.19"),
    Field("thing", "host", views=("show",), policy="admin", until="2.89"),
    Field("thing", "host", views=("show",), since="2.90"),
    Request(ThingBody, "description", since="2.19"),
    Request(ThingBody, "networks", required_since="2.37"),
    Request(NicBody, "tag", since="2.32", until="2.36"),
    Request(NicBody, "tag", since="2.42"),
    Request(ThingQuery, "*", until="2.74"),
    Route("Tags", since="2.26"),
    Route("Things", "DELETE", until="2.35"),
    Answer("Things", "POST", until="2.1", status=200, without=("Location",)),
    Answer("Things", "PUT", since="2.101", status=202, body=False),
    Behaviour("attach_is_async", since="2.101"),
)


class Base(ApiView):
    service = COMPUTE
    changes = CHANGES
    authentication_classes = [Anybody]


class Things(Base):
    def get(self, request: Any) -> Any:
        query = self.query(ThingQuery)
        page = self.page(query)
        ids = [f"t{number}" for number in range(min(page.limit, 3))]
        return self.answer({"things": ids, "query": query, "things_links": self.next_links(page, ids)})

    def post(self, request: Any) -> Any:
        thing = self.body(ThingBody, key="thing")
        links = self.links("things/t1")
        return self.answer({"thing": thing | {"links": links}}, 202, {"Location": links[0]["href"]})

    def put(self, request: Any) -> Any:
        return self.answer({"async": self.behaves("attach_is_async")})

    def delete(self, request: Any) -> Any:
        return self.answer(None, 204)


class Thing(Base):
    def get(self, request: Any, thing_id: str) -> Any:
        superset = {
            "id": thing_id,
            "name": "one",
            "size": 1,
            "secret": "never shown",
            "flavor": {"ram": 1, "vcpus": 2, "id": "f1", "extra_specs": {"a": "b"}},
            "flavor_link": {"id": "f1"},
            "description": None,
            "host": "h1",
            "at": datetime.now(UTC),
        }
        flags = frozenset({"admin"}) if "admin" in request.META.get("HTTP_X_FLAGS", "") else frozenset()
        return self.answer({"thing": self.project("thing", "show", superset, flags)})


class Tags(Base):
    def get(self, request: Any) -> Any:
        return self.answer({"tags": []})


class Failing(Base):
    """Raises the error that the path names."""

    def get(self, request: Any, family: str) -> Any:
        if family == "boom":
            raise RuntimeError("the password is hunter2")
        if family == "TooManyRequests":
            raise errors.TooManyRequests("Slow down.", retry_after_s=7)
        raise getattr(errors, family)("In words.")


class AnyToken(Base):
    needs_project = False

    def get(self, request: Any) -> Any:
        return self.answer({"user": self.caller.user_name})


class Open(Base):
    public = True

    def get(self, request: Any) -> Any:
        return self.answer({})

    def post(self, request: Any) -> Any:
        return self.answer({"got": self.payload()})


def _elsewhere(service_: Any) -> type[ApiView]:
    class Elsewhere(ApiView):
        service = service_
        authentication_classes = [Anybody]

        def get(self, request: Any) -> Any:
            raise errors.NotFound("There is no such thing.")

    return Elsewhere


ROUTES = [
    path("things", Things.as_view()),
    path("things/<str:thing_id>", Thing.as_view()),
    path("tags", Tags.as_view()),
    path("failing/<str:family>", Failing.as_view()),
    path("any", AnyToken.as_view()),
    path("open", Open.as_view()),
]
urlpatterns = [
    *mount_with_projects(COMPUTE, ROUTES),
    *(
        entry
        for service in (IDENTITY, IMAGE, NETWORK, PLACEMENT)
        for entry in mount(service, [path("missing", _elsewhere(service).as_view())])
    ),
    *discovery.urlpatterns,
]
handler400 = "computecloud.wire.faults.bad_request"
handler404 = "computecloud.wire.faults.not_found"
handler500 = "computecloud.wire.faults.server_error"
