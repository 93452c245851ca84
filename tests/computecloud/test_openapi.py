"""The OpenAPI document of the Compute API: valid, whole, and true to what the API takes."""

import json
import re
import sys
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern
from openapi_spec_validator import OpenAPIV30SpecValidator

from computecloud.openapi.document import document
from instances.api.actions import ACTIONS
from instances.api.urls import urlpatterns

LOOSE = {"post flavors/{flavor_id}/action", "put flavors/{flavor_id}/os-extra_specs/{key}"}
ROOT = "/compute/v2.1/"
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def made() -> Any:
    return document()


def operation(made: Any, method: str, path: str) -> Any:
    return made["paths"][ROOT + path][method]


def schema(made: Any, ref: str) -> Any:
    return made["components"]["schemas"][ref.rpartition("/")[2]]


def test_the_document_is_valid(made: Any):
    assert made["openapi"].startswith("3.0")
    assert [error.message for error in OpenAPIV30SpecValidator(made).iter_errors()] == []


def test_it_has_every_route_with_every_method(made: Any):
    def of(route: URLPattern) -> tuple[str, set[str]]:
        address = str(route.pattern).replace("<str:", "{").replace(">", "}")
        return ROOT + address, {name for name in METHODS if hasattr(route.callback.view_class, name)}

    assert {path: set(found) for path, found in made["paths"].items()} == dict(map(of, urlpatterns))


def test_each_operation_has_a_name_of_its_own_and_says_what_it_does(made: Any):
    every = [one for found in made["paths"].values() for one in found.values()]
    names = [one["operationId"] for one in every]
    assert len(names) == len(set(names))
    assert [one["operationId"] for one in every if not one["summary"]] == []
    assert all(one["security"] == [{"token": []}] for one in every)
    assert all("default" in one["responses"] for one in every)


def test_bodies_are_the_serializers_that_the_views_validate_by(made: Any):
    body = operation(made, "post", "servers")["requestBody"]["content"]["application/json"]["schema"]
    server = schema(made, schema(made, body["$ref"])["properties"]["server"]["$ref"])
    assert {"name", "flavorRef"} <= set(server["required"])
    assert server["properties"]["name"] == {"type": "string", "minLength": 1, "maxLength": 255}
    assert server["properties"]["OS-DCF:diskConfig"] == {"enum": ["AUTO", "MANUAL"]}
    assert "personality" not in server["properties"]  # the newest version takes none
    flavor = operation(made, "post", "flavors")["requestBody"]["content"]["application/json"]["schema"]
    assert flavor["required"] == ["flavor"]


def body_of(one: Any) -> Any:
    content = one.get("requestBody", {}).get("content", {})
    return next((media["schema"] for media in content.values()), None)


def test_only_what_views_look_into_themselves_is_shown_as_any_object(made: Any):
    loose = {
        f"{method} {path.removeprefix(ROOT)}"
        for path, found in made["paths"].items()
        for method, one in found.items()
        if (body_of(one) or {}).get("additionalProperties") is True
    }
    assert loose == LOOSE


def test_every_reference_leads_somewhere_by_a_name_that_may_be(made: Any):
    names = set(made["components"]["schemas"])
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(made))) <= names
    assert [name for name in names if not re.fullmatch(r"[a-zA-Z0-9._-]+", name)] == []


def test_queries_are_parameters(made: Any):
    names = {one["name"] for one in operation(made, "get", "flavors")["parameters"]}
    assert {"limit", "marker", "minRam", "OpenStack-API-Version"} <= names
    assert {one["name"] for one in operation(made, "get", "servers/{server_id}")["parameters"]} >= {
        "server_id"
    }


def test_every_action_has_its_body(made: Any):
    content = operation(made, "post", "servers/{server_id}/action")["requestBody"]["content"]
    bodies = content["application/json"]["schema"]["oneOf"]
    assert {one["required"][0] for one in bodies} == set(ACTIONS)
    reboot = next(one for one in bodies if one["required"] == ["reboot"])
    assert "SOFT" in schema(made, reboot["properties"]["reboot"]["$ref"])["properties"]["type"]["enum"]


def test_answers_have_their_statuses_and_keys(made: Any):
    found = operation(made, "post", "servers")["responses"]
    assert set(found) == {"202", "default"}
    assert set(operation(made, "delete", "servers/{server_id}")["responses"]) == {"204", "default"}
    answer = operation(made, "get", "flavors/{flavor_id}")["responses"]["200"]
    flavor = answer["content"]["application/json"]["schema"]["properties"]["flavor"]
    assert {"id", "ram", "vcpus"} <= set(schema(made, flavor["$ref"])["properties"])


def test_a_route_that_the_newest_version_lacks_is_marked_so(made: Any):
    assert operation(made, "get", "os-hypervisors/{pattern}/search")["deprecated"]
    assert "deprecated" not in operation(made, "get", "servers")


def test_anybody_is_served_the_document(made: Any):
    answer = Client().get("/openapi/compute.json")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer.json()["paths"].keys() == made["paths"].keys()
    assert Client().post("/openapi/compute.json").status_code == 405


def test_it_is_made_without_what_server_processes_keep_out():
    assert "yaml" not in {name for name, module in vars(sys.modules["drf_spectacular.generators"]).items()}
    assert "drf_spectacular.renderers" not in sys.modules
