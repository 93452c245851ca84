"""Every body that cannot be right is refused in words, with the status that it deserves."""

import io
from typing import Any

import pytest
from django.test import Client

from computecloud.wire.errors import InvalidInput
from computecloud.wire.parsers import decode

THINGS = "/compute/v2.1/things"


def send(client: Client, body: Any, **headers: str) -> Any:
    return client.post(THINGS, body, "application/json", headers=headers)


def refusal(answer: Any) -> str:
    assert answer.status_code == 400, answer.content
    fault = answer.json()["badRequest"]
    assert fault["code"] == 400
    return str(fault["message"])


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"{'thing': 1}",
        b'{"thing": NaN}',
        b'{"thing": Infinity}',
        b'{"thing": "\xff"}',
        b'{"thing": "\\ud800"}',
        b'{"thing": {"name": "a", "name": "b"}}',
        b'{"thing": {"name": "a"}, "thing": {"name": "b"}}',
        b'{"thing": "\\u0000"}',
        b'{"\\u0000": 1}',
        b'{"thing": ' + b"[" * 40 + b"]" * 40 + b"}",
        b"[" * 5_000,
        b'{"a":' * 5_000,
        b"9" * 5_000,
        b"\xef\xbb\xbf{}",
        b'{"thing": 1} {}',
    ],
)
def test_what_is_no_sane_json_is_400(client: Client, raw: bytes) -> None:
    assert "Malformed request body" in refusal(send(client, raw))


@pytest.mark.parametrize("raw", [b"[]", b"1", b'"x"', b"null", b"true", b""])
def test_body_that_is_no_object_is_400(client: Client, raw: bytes) -> None:
    assert "must be a JSON object" in refusal(send(client, raw))


def test_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert decode(b'{"a": "\\\\u0000"}') == {"a": "\\u0000"}


def test_duplicate_key_is_named() -> None:
    with pytest.raises(InvalidInput, match="the key 'a' is there twice"):
        decode(b'{"b": [{"a": 1, "a": 2}]}')


def test_body_over_the_limit_is_413(client: Client) -> None:
    answer = send(client, b'{"thing": "' + b"x" * 114_688 + b'"}')
    assert answer.status_code == 413
    assert answer.json()["overLimit"]["code"] == 413


def test_body_at_the_limit_is_read(client: Client) -> None:
    raw = b'{"thing":{"name":"x","metadata":{}}}'
    assert send(client, raw + b" " * (114_688 - len(raw))).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "nonsense"]
)
def test_other_media_types_are_415(client: Client, kind: str) -> None:
    answer = client.post(THINGS, b'{"thing": {"name": "x"}}', kind)
    assert answer.status_code == 415
    assert answer.json()["badMediaType"]["code"] == 415


def test_media_type_may_carry_a_charset(client: Client) -> None:
    answer = client.post(THINGS, b'{"thing": {"name": "x"}}', "application/json; charset=utf-8")
    assert answer.status_code == 200


def test_wrong_content_length_is_400(client: Client) -> None:
    answer = client.generic("POST", THINGS, b"{}", "application/json", CONTENT_LENGTH="abc")
    assert answer.status_code == 400


def test_body_that_breaks_off_is_400(client: Client) -> None:
    class Broken(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise ConnectionResetError("it broke off")

    options = {"wsgi.input": Broken(), "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    answer = client.generic("POST", THINGS, b"{}", "application/json", **options)  # type: ignore[arg-type]
    assert refusal(answer) == "The request's body did not come to its end: it broke off."


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "'thing' is a required property"),
        ({"thing": {"name": "x"}, "other": 1}, "Additional properties are not allowed ('other'"),
        ({"thing": []}, "list is not of type 'object'"),
        ({"thing": None}, "None is not of type 'object'"),
        ({"thing": {}}, "attribute thing. 'name' is a required property"),
        ({"thing": {"name": "x", "y": 1}}, "attribute thing. Additional properties are not allowed ('y' was"),
        ({"thing": {"name": "x", "y": 1, "z": 1}}, "('y', 'z' were unexpected)"),
        ({"thing": {"name": 1}}, "attribute thing.name. int is not of type 'string'"),
        ({"thing": {"name": True}}, "bool is not of type 'string'"),
        ({"thing": {"name": None}}, "attribute thing.name. None is not allowed"),
        ({"thing": {"name": ""}}, "too short"),
        ({"thing": {"name": " x"}}, "begins or ends with a space"),
        ({"thing": {"name": "x" * 256}}, "too long"),
        ({"thing": {"name": "a\nb"}}, "control characters"),
        ({"thing": {"name": "a\x7fb"}}, "control characters"),
        ({"thing": {"name": "a\u2028b"}}, "control characters"),
        ({"thing": {"name": "x", "metadata": {"a": "a\x1bb"}}}, "control characters"),
        ({"thing": {"name": "x", "size": 0}}, "less than the minimum of 1"),
        ({"thing": {"name": "x", "size": "101"}}, "greater than the maximum of 100"),
        ({"thing": {"name": "x", "size": 1.0}}, "not of type 'integer'"),
        ({"thing": {"name": "x", "size": True}}, "not of type 'integer'"),
        ({"thing": {"name": "x", "size": "1e1"}}, "not of type 'integer'"),
        ({"thing": {"name": "x", "size": 10**18}}, "greater than"),
        ({"thing": {"name": "x", "shared": "maybe"}}, "not of type 'boolean'"),
        ({"thing": {"name": "x", "shared": 1}}, "not of type 'boolean'"),
        (
            {"thing": {"name": "x", "OS-DCF:diskConfig": "auto"}},
            "thing.OS-DCF:diskConfig. 'auto' is not one of",
        ),
        ({"thing": {"name": "x", "metadata": {"a": 1}}}, "not of type 'string'"),
        ({"thing": {"name": "x", "metadata": {"a/b": "1"}}}, "does not match"),
        ({"thing": {"name": "x", "metadata": {"a" * 256: "1"}}}, "does not match"),
        ({"thing": {"name": "x", "metadata": {str(n): "1" for n in range(129)}}}, "too many items"),
        ({"thing": {"name": "x", "networks": {}}}, "thing.networks. "),
        ({"thing": {"name": "x", "networks": [{"uuid": "x"}]}}, "thing.networks.0.uuid. 'x' is not a 'uuid'"),
        ({"thing": {"name": "x", "networks": [{}, {"a": 1}]}}, "thing.networks.1. Additional properties"),
    ],
)
def test_wrong_value_is_400_and_named(client: Client, body: Any, words: str) -> None:
    assert words in refusal(send(client, body))


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"size": "7"}, {"size": 7}),
        ({"shared": "yes"}, {"shared": True}),
        ({"shared": "0"}, {"shared": False}),
        ({"metadata": {"a.b:c-d_e f": "line\nline"}}, {"metadata": {"a.b:c-d_e f": "line\nline"}}),
        ({"OS-DCF:diskConfig": "AUTO"}, {"disk_config": "AUTO"}),
    ],
)
def test_what_nova_takes_is_taken(client: Client, given: dict[str, Any], read: dict[str, Any]) -> None:
    answer = send(client, {"thing": {"name": "ü 漢字\u3000x", **given}})
    assert answer.status_code == 200
    assert read.items() <= answer.json()["thing"].items()


def test_body_key_is_refused_outside_its_versions(client: Client) -> None:
    body = {"thing": {"name": "x", "description": "d"}}
    assert "'description' was unexpected" in refusal(send(client, body))
    old = "X-OpenStack-Nova-API-Version"
    assert client.post(THINGS, body, "application/json", headers={old: "2.19"}).status_code == 202


def test_inner_body_key_may_come_go_and_come_back(client: Client) -> None:
    body = {"thing": {"name": "x", "networks": [{"tag": "t"}]}}
    old = "X-OpenStack-Nova-API-Version"
    statuses = {
        version: client.post(THINGS, body, "application/json", headers={old: version}).status_code
        for version in ("2.31", "2.32", "2.36", "2.37", "2.41", "2.42")
    }
    assert statuses == {"2.31": 400, "2.32": 202, "2.36": 202, "2.37": 400, "2.41": 400, "2.42": 202}


def test_body_key_may_become_required(client: Client) -> None:
    old = "X-OpenStack-Nova-API-Version"
    body = {"thing": {"name": "x"}}
    assert client.post(THINGS, body, "application/json", headers={old: "2.36"}).status_code == 202
    refused = client.post(THINGS, body, "application/json", headers={old: "2.37"})
    assert "'networks' is a required property" in refusal(refused)
