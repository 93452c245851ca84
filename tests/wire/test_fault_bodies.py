"""Errors as each service's clients expect them."""

import json

import pytest
from django.test import Client
from django.test.signals import template_rendered

FAILING = "/compute/v2.1/failing"


@pytest.mark.parametrize(
    ("family", "status", "key"),
    [
        ("InvalidInput", 400, "badRequest"),
        ("Forbidden", 403, "forbidden"),
        ("QuotaExceeded", 403, "forbidden"),
        ("NotFound", 404, "itemNotFound"),
        ("Conflict", 409, "conflictingRequest"),
        ("TooLarge", 413, "overLimit"),
        ("UnsupportedMediaType", 415, "badMediaType"),
        ("TooManyRequests", 429, "overLimit"),
        ("NotImplementedHere", 501, "notImplemented"),
        ("Unavailable", 503, "serviceUnavailable"),
    ],
)
def test_error_family_has_its_status_and_key(client: Client, family: str, status: int, key: str) -> None:
    answer = client.get(f"{FAILING}/{family}")
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    words = "Slow down." if family == "TooManyRequests" else "In words."
    assert answer.json() == {key: {"code": status, "message": words}}


def test_too_many_requests_says_when_to_come_back(client: Client) -> None:
    assert client.get(f"{FAILING}/TooManyRequests").headers["Retry-After"] == "7"


def test_unforeseen_error_is_500_without_internals(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    answer = client.get(f"{FAILING}/boom")
    assert answer.status_code == 500
    assert answer.json()["computeFault"]["code"] == 500
    assert b"hunter2" not in answer.content and b"RuntimeError" not in answer.content
    assert answer.headers["x-openstack-request-id"].startswith("req-")


def test_unforeseen_error_reaches_the_tests_that_want_it() -> None:
    strict = Client(headers={"X-Auth-Token": "alice"})
    with pytest.raises(RuntimeError):
        strict.get(f"{FAILING}/boom")


def test_no_token_is_401_in_the_form_of_the_token_check(nobody: Client) -> None:
    answer = nobody.get("/compute/v2.1/things")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Keystone uri="http://testserver/identity"'
    assert answer.json()["error"]["code"] == 401
    assert answer.json()["error"]["title"] == "Unauthorized"


def test_no_token_is_told_before_a_wrong_version(nobody: Client) -> None:
    headers = {"OpenStack-API-Version": "compute 9.9"}
    assert nobody.get("/compute/v2.1/things", headers=headers).status_code == 401


def test_public_view_needs_no_token(nobody: Client) -> None:
    assert nobody.get("/compute/v2.1/open").status_code == 200


def test_token_without_a_project_is_403_where_one_is_needed(nobody: Client) -> None:
    headers = {"X-Auth-Token": "unscoped"}
    assert nobody.get("/compute/v2.1/things", headers=headers).status_code == 403
    assert nobody.get("/compute/v2.1/any", headers=headers).status_code == 200


def test_foreign_project_in_the_path_is_400(client: Client) -> None:
    answer = client.get(f"/compute/v2.1/{'b' * 32}/things")
    assert answer.status_code == 400
    assert "doesn't match" in answer.json()["badRequest"]["message"]


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options", "trace"])
def test_method_that_is_not_there_is_405(client: Client, method: str) -> None:
    answer = getattr(client, method)("/compute/v2.1/tags", headers={"X-OpenStack-Nova-API-Version": "2.30"})
    assert answer.status_code == 405
    assert answer.json()["badMethod"]["code"] == 405
    assert answer.headers["Allow"] == "GET, HEAD"


def test_head_is_get_without_a_body(client: Client) -> None:
    answer = client.head("/compute/v2.1/things")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/identity/v3/missing",
            {"error": {"code": 404, "message": "There is no such thing.", "title": "Not Found"}},
        ),
        (
            "/network/v2.0/missing",
            {"NeutronError": {"type": "NotFound", "message": "There is no such thing.", "detail": ""}},
        ),
        (
            "/image/v2/missing",
            {"code": "404 Not Found", "title": "Not Found", "message": "There is no such thing."},
        ),
    ],
)
def test_each_service_has_its_own_form(client: Client, path: str, body: object) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json() == body


def test_placement_lists_errors_with_the_request_id(client: Client) -> None:
    answer = client.get("/placement/missing")
    [error] = answer.json()["errors"]
    assert (error["status"], error["detail"]) == (404, "There is no such thing.")
    assert error["request_id"] == answer.headers["x-openstack-request-id"]


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/compute/v2.1/no", "itemNotFound"),
        ("/identity/v3/no", "error"),
        ("/network/v2.0/no", "NeutronError"),
        ("/image/v2/no", "message"),
        ("/placement/no", "errors"),
    ],
)
def test_unmatched_address_is_404_in_the_service_s_form(client: Client, path: str, key: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert key in answer.json()


def test_unmatched_address_outside_any_service_is_plain(client: Client) -> None:
    answer = client.get("/nowhere")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/plain")


def test_nul_in_the_path_is_404(client: Client) -> None:
    assert client.get("/compute/v2.1/things/a%00b").status_code == 404


def test_forged_host_is_400(client: Client, settings: object) -> None:
    settings.ALLOWED_HOSTS = ["good.example"]  # type: ignore[attr-defined]
    answer = client.get("/compute/v2.1/things?limit=1", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert b"evil" not in answer.content


def test_faults_render_no_template(client: Client) -> None:
    rendered: list[object] = []
    template_rendered.connect(lambda **facts: rendered.append(facts), weak=False)
    client.get("/compute/v2.1/no")
    assert rendered == []


def test_body_survives_as_json_whatever_is_accepted(client: Client) -> None:
    answer = client.get("/compute/v2.1/things", headers={"Accept": "text/html"})
    assert json.loads(answer.content)
