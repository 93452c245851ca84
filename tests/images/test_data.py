"""An image's bytes over HTTP."""

import hashlib
import io
import json
import os
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from computecloud.wire.errors import InvalidInput, NotFound
from identity.caller import Caller
from images import services, store
from tests.images.conftest import GIB, MIB, Api, bytes_of, qcow2_bytes

CHUNKED = {"CONTENT_LENGTH": ""}


def test_what_is_uploaded_is_shown_and_comes_back(as_alice: Api) -> None:
    content = os.urandom(MIB + 1)
    path = f"images/{as_alice.made()['id']}"
    assert as_alice.get(f"{path}/file").status_code == 204
    assert as_alice.put(f"{path}/file", content, content_type="application/octet-stream").status_code == 204
    shown = as_alice.get(path).json()
    assert (shown["status"], shown["size"], shown["virtual_size"]) == ("active", MIB + 1, MIB + 1)
    assert shown["checksum"] == hashlib.md5(content).hexdigest()
    assert shown["os_hash_algo"] == "sha512"
    assert shown["os_hash_value"] == hashlib.sha512(content).hexdigest()
    answer = as_alice.get(f"{path}/file")
    assert answer.streaming
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Length"] == str(len(content))
    assert answer["Content-MD5"] == shown["checksum"]
    assert bytes_of(answer) == content


def test_a_qcow2_has_the_virtual_size_that_it_says(as_alice: Api) -> None:
    made = as_alice.made(disk_format="qcow2", min_disk=1)
    assert as_alice.upload(made["id"], qcow2_bytes(virtual=5 * GIB, l1_entries=10)).status_code == 204
    assert as_alice.get(f"images/{made['id']}").json()["virtual_size"] == 5 * GIB


@pytest.mark.parametrize(
    ("content", "options", "status"),
    [
        (b"x", {"content_type": "application/json"}, 415),
        (b"x", {"content_type": "text/plain"}, 415),
        (b"x", {"content_type": ""}, 415),
        (b"", {"CONTENT_TYPE": "application/octet-stream", "CONTENT_LENGTH": "0"}, 400),
        (b"12345", {"CONTENT_LENGTH": "6"}, 400),
        (b"12345", {"headers": {"X-OpenStack-Image-Size": "4"}}, 400),
        (b"12345", {"headers": {"X-OpenStack-Image-Size": "many"}}, 400),
        (b"12345", {**CHUNKED, "headers": {"X-OpenStack-Image-Size": "4"}}, 400),
        (b"12345", {**CHUNKED, "headers": {"X-OpenStack-Image-Size": "6"}}, 400),
        (b"12345", {"CONTENT_LENGTH": str(GIB + 1)}, 413),
        (b"12345", {**CHUNKED, "headers": {"X-OpenStack-Image-Size": str(GIB + 1)}}, 413),
        (qcow2_bytes(), {}, 400),
        (b"KDMV" + bytes(600), {}, 400),
    ],
)
def test_a_wrong_upload_is_refused_and_leaves_nothing(
    as_alice: Api, state: Path, content: bytes, options: dict[str, object], status: int
) -> None:
    made = as_alice.made()
    options = {"wsgi.input": io.BytesIO(content), **options}
    answer = as_alice.put(
        f"images/{made['id']}/file", content, **{"content_type": "application/octet-stream", **options}
    )
    assert answer.status_code == status, answer.content
    assert json.loads(answer.content)["message"]
    assert as_alice.get(f"images/{made['id']}").json() == made | {
        "updated_at": as_alice.get(f"images/{made['id']}").json()["updated_at"]
    }
    assert not list((state / "images").glob("*"))


def test_a_body_without_length_is_read_to_its_end(as_alice: Api) -> None:
    made = as_alice.made()
    body = {"wsgi.input": io.BytesIO(b"x" * MIB), **CHUNKED}
    assert as_alice.upload(made["id"], b"ignored", **body).status_code == 204
    assert as_alice.get(f"images/{made['id']}").json()["size"] == MIB


def test_a_second_upload_is_a_conflict(as_alice: Api) -> None:
    made = as_alice.made()
    assert as_alice.upload(made["id"], b"x").status_code == 204
    assert as_alice.upload(made["id"], b"y").status_code == 409
    assert bytes_of(as_alice.get(f"images/{made['id']}/file")) == b"x"


def test_an_image_without_formats_takes_no_bytes(as_alice: Api) -> None:
    made = as_alice.post("images", {}).json()
    assert as_alice.upload(made["id"], b"x").status_code == 400


def test_a_deactivated_image_is_not_sent_but_to_an_administrator(as_alice: Api, as_admin: Api) -> None:
    made = as_alice.made()
    as_alice.upload(made["id"], b"x")
    as_alice.post(f"images/{made['id']}/actions/deactivate")
    assert as_alice.get(f"images/{made['id']}/file").status_code == 403
    assert bytes_of(as_admin.get(f"images/{made['id']}/file")) == b"x"


def test_missing_bytes_are_our_fault_and_said_so(as_alice: Api) -> None:
    made = as_alice.made()
    as_alice.upload(made["id"], b"x")
    store.remove(next(iter(store.stored())))
    assert as_alice.get(f"images/{made['id']}/file").status_code == 503


def test_deleting_removes_the_bytes(as_alice: Api, state: Path) -> None:
    made = as_alice.made()
    as_alice.upload(made["id"], b"x")
    assert as_alice.delete(f"images/{made['id']}").status_code == 204
    assert not list((state / "images").iterdir())


def test_an_active_image_is_bootable_and_says_what_it_needs(
    as_alice: Api, alice: Caller, bob: Caller
) -> None:
    made = as_alice.made(name="demo", disk_format="qcow2", min_disk=1, min_ram=64, hw_disk_bus="virtio")
    image_id = UUID(made["id"])
    with pytest.raises(InvalidInput, match="queued"):
        services.bootable(image_id, alice)
    content = qcow2_bytes(virtual=2 * GIB + 1, l1_entries=5)
    assert as_alice.upload(made["id"], content).status_code == 204
    facts = services.bootable(image_id, alice)
    assert (facts.id, facts.name, facts.disk_format, facts.size_bytes) == (
        made["id"],
        "demo",
        "qcow2",
        len(content),
    )
    assert (facts.min_disk_gib, facts.min_ram_mib) == (3, 64)
    assert facts.checksum_sha512 == hashlib.sha512(content).hexdigest()
    assert facts.properties == {"hw_disk_bus": "virtio"}
    with pytest.raises(NotFound):
        services.bootable(image_id, bob)
    with pytest.raises(NotFound):
        services.bootable(uuid4(), alice)
    as_alice.post(f"images/{made['id']}/actions/deactivate")
    with pytest.raises(InvalidInput, match="deactivated"):
        services.bootable(image_id, alice)
