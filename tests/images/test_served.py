"""Images through a real web server: the real client, connections that break, a server that dies, memory."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.images.conftest import MIB, qcow2_bytes
from tests.patience import patience

pytestmark = pytest.mark.cloud

ROOT = Path(__file__).parents[2]
PASSWORD = "only for tests"
START_S, SEND_S, WAIT_S = (seconds * patience() for seconds in (20, 60, 10))
BOOTSTRAP = f"""
import django
django.setup()
from identity.services.bootstrap import bootstrap
bootstrap(admin_password={PASSWORD!r}, demo_password={PASSWORD!r})
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Served:
    """A web server of this test's own, and the project demo as its caller."""

    state: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: text for name, text in os.environ.items() if name != "COMPUTECLOUD_DATABASE_URL"}
        return {
            **kept,
            "DJANGO_SETTINGS_MODULE": "computecloud.settings",
            "COMPUTECLOUD_STATE_DIR": str(self.state),
            "OS_AUTH_URL": f"http://127.0.0.1:{self.port}/identity",
            "OS_USERNAME": "demo",
            "OS_PASSWORD": PASSWORD,
            "OS_PROJECT_NAME": "demo",
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
        }

    def run(self, *command: str | Path, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, *map(str, command)],
            env=self.environment, cwd=ROOT, text=True, capture_output=True, check=check,
        )  # fmt: skip

    def openstack(self, *words: str | Path, check: bool = True) -> str:
        done = self.run(Path(sys.executable).with_name("openstack"), "image", *words, check=check)
        return done.stdout + done.stderr

    def start(self) -> None:
        command = [sys.executable, "-m", "granian", "--interface", "rsgi", "--host", "127.0.0.1", "--port"]
        options = [str(self.port), "--factory", "--no-ws", "computecloud.rsgi:application"]
        with (self.state / "web.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *options], env=self.environment, cwd=ROOT, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            try:
                requests.get(self.url(""), timeout=WAIT_S)
                return
            except requests.ConnectionError:
                time.sleep(0.05)
        raise AssertionError((self.state / "web.log").read_text())

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(WAIT_S)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/image/v2/{path}"

    def log_in(self) -> None:
        user = {"name": "demo", "password": PASSWORD, "domain": {"id": "default"}}
        scope = {"project": {"name": "demo", "domain": {"id": "default"}}}
        wanted = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}
        address = f"http://127.0.0.1:{self.port}/identity/v3/auth/tokens"
        answer = requests.post(address, json={"auth": wanted}, timeout=WAIT_S)
        self.headers = {"X-Auth-Token": answer.headers["X-Subject-Token"]}

    def made(self) -> str:
        document = {"disk_format": "raw", "container_format": "bare"}
        return str(
            requests.post(self.url("images"), json=document, headers=self.headers, timeout=WAIT_S).json()[
                "id"
            ]
        )

    def shown(self, image_id: str) -> dict[str, Any]:
        answer = requests.get(self.url(f"images/{image_id}"), headers=self.headers, timeout=WAIT_S)
        return dict(answer.json())

    def put(self, image_id: str, body: Any) -> int:
        headers = {**self.headers, "Content-Type": "application/octet-stream"}
        return requests.put(
            self.url(f"images/{image_id}/file"), data=body, headers=headers, timeout=SEND_S
        ).status_code

    def half_put(self, image_id: str, extra: str, body: bytes) -> socket.socket:
        """Send the beginning of an upload and return the connection once the server has begun to store it."""
        connection = self.sent(image_id, extra, body)
        wait_for(lambda: self.shown(image_id)["status"] == "saving")
        return connection

    def sent(self, image_id: str, extra: str, body: bytes) -> socket.socket:
        """Send the beginning of an upload and return the connection."""
        lines = (
            f"PUT /image/v2/images/{image_id}/file HTTP/1.1", "Host: here", "Content-Type: application/octet-stream",
            f"X-Auth-Token: {self.headers['X-Auth-Token']}", extra, "", "",
        )  # fmt: skip
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.sendall("\r\n".join(lines).encode() + body)
        return connection

    def files(self, image_id: str) -> list[str]:
        return sorted(entry.name for entry in (self.state / "images").glob(f"*{image_id}*"))

    def worker(self) -> int:
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[-1])

    def peak_kib(self) -> int:
        status = Path(f"/proc/{self.worker()}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])


def wait_for(true: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    cloud = Served(tmp_path_factory.mktemp("state"))
    (cloud.state / "run").mkdir()
    cloud.run("manage.py", "migrate", "--verbosity", "0")
    cloud.run("-c", BOOTSTRAP)
    cloud.start()
    cloud.log_in()
    yield cloud
    cloud.stop()


def test_the_openstack_client_does_all_it_does_with_images(served: Served, tmp_path: Path) -> None:
    sent, back = tmp_path / "sent.qcow2", tmp_path / "back.qcow2"
    sent.write_bytes(qcow2_bytes())
    wanted = (
        "--disk-format",
        "qcow2",
        "--property",
        "os_distro=debian",
        "--tag",
        "a",
        "--file",
        sent,
        "first",
    )
    assert json.loads(served.openstack("create", "-f", "json", *wanted))["status"] == "active"
    changed = (
        "--name",
        "second",
        "--min-disk",
        "1",
        "--tag",
        "b",
        "--property",
        "hw_disk_bus=scsi",
        "--protected",
    )
    served.openstack("set", *changed, "first")
    shown = json.loads(served.openstack("show", "-f", "json", "second"))
    assert (shown["min_disk"], shown["tags"], shown["protected"]) == (1, ["a", "b"], True)
    assert shown["properties"].items() >= {"os_distro": "debian", "hw_disk_bus": "scsi"}.items()
    served.openstack("save", "--file", back, "second")
    assert back.read_bytes() == sent.read_bytes()
    assert "protected" in served.openstack("delete", "second", check=False)
    served.openstack("set", "--unprotected", "second")
    served.openstack("unset", "--tag", "a", "--property", "os_distro", "second")
    listed = json.loads(served.openstack("list", "-f", "json", "--tag", "b", "--name", "second"))
    assert [image["Name"] for image in listed] == ["second"]
    served.openstack("delete", "second")
    assert json.loads(served.openstack("list", "-f", "json")) == []


def test_the_client_is_told_that_an_image_is_not_what_it_claims(served: Served, tmp_path: Path) -> None:
    liar = tmp_path / "liar"
    liar.write_bytes(qcow2_bytes())
    said = served.openstack("create", "--disk-format", "raw", "--file", liar, "liar", check=False)
    assert "its content is qcow2" in said


@pytest.mark.parametrize(
    ("extra", "body"),
    [
        (f"Content-Length: {8 * MIB}", b"x" * MIB),
        (
            f"Transfer-Encoding: chunked\r\nX-OpenStack-Image-Size: {8 * MIB}",
            b"100000\r\n" + b"x" * MIB + b"\r\n",
        ),
        ("Transfer-Encoding: chunked", b"100000\r\n" + b"x" * MIB + b"\r\n"),
        ("Transfer-Encoding: chunked", b"100000\r\n" + b"x" * MIB + b"\r\n200000\r\n" + b"x" * MIB),
    ],
)
def test_a_connection_that_breaks_leaves_the_image_queued(served: Served, extra: str, body: bytes) -> None:
    image_id = served.made()
    served.half_put(image_id, extra, body).close()
    wait_for(lambda: served.shown(image_id)["status"] == "queued")
    wait_for(lambda: served.files(image_id) == [])
    assert served.put(image_id, b"whole") == 204


def test_an_upload_during_an_upload_is_refused_and_the_first_one_goes_on(served: Served) -> None:
    image_id = served.made()
    with served.half_put(image_id, f"Content-Length: {2 * MIB}", b"x" * MIB) as connection:
        assert served.put(image_id, b"x" * 50 * MIB) == 409
        connection.sendall(b"x" * MIB)
        assert b" 204 " in connection.recv(200)
    assert (served.shown(image_id)["status"], served.shown(image_id)["size"]) == ("active", 2 * MIB)


def test_a_small_upload_that_breaks_off_is_refused(served: Served) -> None:
    image_id = served.made()
    with served.sent(image_id, "Transfer-Encoding: chunked", b"5\r\nwhole\r\n") as connection:
        connection.shutdown(socket.SHUT_WR)
        assert b" 400 " in connection.recv(200)
    assert (served.shown(image_id)["status"], served.files(image_id)) == ("queued", [])


def test_slow_uploads_and_downloads_hold_up_nobody(served: Served) -> None:
    whole = served.made()
    served.put(whole, b"x" * 20 * MIB)
    read = f"GET /image/v2/images/{whole}/file HTTP/1.1\r\nHost: here\r\nX-Auth-Token: {served.headers['X-Auth-Token']}"
    with ExitStack() as slow:
        for _ in range(8):
            slow.enter_context(served.half_put(served.made(), f"Content-Length: {8 * MIB}", b"x"))
            taker = slow.enter_context(socket.create_connection(("127.0.0.1", served.port)))
            taker.sendall(f"{read}\r\n\r\n".encode())
        for _ in range(10):
            assert requests.get(served.url("images"), headers=served.headers, timeout=2).status_code == 200


def test_memory_stays_flat_while_300_mib_come_and_go(served: Served, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        for _ in range(300):
            file.write(os.urandom(MIB))
    served.put(served.made(), b"warm")
    image_id, before = served.made(), served.peak_kib()
    with large.open("rb") as file:
        assert served.put(image_id, file) == 204
    address = served.url(f"images/{image_id}/file")
    with requests.get(address, headers=served.headers, stream=True, timeout=SEND_S) as answer:
        assert sum(len(chunk) for chunk in answer.iter_content(MIB)) == 300 * MIB
    assert served.peak_kib() - before < 24 * 1024


def test_a_server_killed_during_an_upload_leaves_an_image_that_takes_the_next_one(served: Served) -> None:
    image_id = served.made()
    with served.half_put(image_id, f"Content-Length: {8 * MIB}", b"x" * MIB):
        os.kill(served.worker(), signal.SIGKILL)
    assert served.process is not None
    served.process.wait(20)
    served.start()
    assert (served.shown(image_id)["status"], served.files(image_id)) == ("saving", [f".{image_id}.part"])
    assert served.put(image_id, b"whole") == 204
    assert (served.shown(image_id)["size"], served.files(image_id)) == (5, [image_id])
