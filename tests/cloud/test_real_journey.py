"""A tenant's first steps with the OpenStack client, on real guests; test_real_clients.py has the rest."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud import timings
from tests.cloud.cloud import Cloud, until
from tests.cloud.guest import SSH_S, Guest
from tests.patience import patience

pytestmark = pytest.mark.cloud

NAME = "traveller"
SOON_S = 10.0
AGAIN_S = 5.0


def status(guest: Guest) -> str:
    """Return the server's status."""
    return str(guest.cloud.openstack("server", "show", guest.id, "-c", "status")["status"])


@pytest.fixture(scope="module")
def guest(real_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """Return a server made by the client."""
    key = tmp_path_factory.mktemp("key") / "key"
    real_cloud.openstack("keypair", "create", "--private-key", str(key), NAME)
    key.chmod(0o600)
    words = ("--image", "demo", "--flavor", "m1.nano", "--key-name", NAME, "--network", "public", "--wait")
    began = time.monotonic()
    made = real_cloud.openstack("server", "create", *words, NAME)
    timings.note("openstack server create --wait", time.monotonic() - began)
    assert made["status"] == "ACTIVE"
    [address] = made["addresses"]["public"]
    yield Guest(real_cloud, made["id"], address, key)
    real_cloud.openstack("server", "delete", "--wait", NAME, form="")
    assert NAME not in {server["Name"] for server in real_cloud.openstack("server", "list")}
    real_cloud.openstack("keypair", "delete", NAME, form="")


def test_up_run_again_changes_nothing_and_says_so(real_cloud: Cloud) -> None:
    before = {process.name: process.pid for process in real_cloud.supervisor.processes()}
    began = time.monotonic()
    said = real_cloud.up()
    taken = time.monotonic() - began
    timings.note("bin/up run again", taken)
    assert "Nothing to do" in said
    assert taken < AGAIN_S * patience()
    assert {process.name: process.pid for process in real_cloud.supervisor.processes()} == before


def test_the_clients_lists_show_what_up_made(real_cloud: Cloud) -> None:
    assert "demo" in {image["Name"] for image in real_cloud.openstack("image", "list")}
    assert "m1.nano" in {flavor["Name"] for flavor in real_cloud.openstack("flavor", "list")}
    assert "public" in {network["Name"] for network in real_cloud.openstack("network", "list")}
    assert "demo" in {key["Name"] for key in real_cloud.openstack("keypair", "list")}
    assert {"hello"} <= {server["Name"] for server in real_cloud.openstack("server", "list")}


def test_an_image_is_created_and_saved_byte_by_byte(real_cloud: Cloud, tmp_path: Path) -> None:
    original, saved = real_cloud.state / "demo.qcow2", tmp_path / "saved.qcow2"
    words = ("--disk-format", "qcow2", "--file", str(original), "mine")
    made = real_cloud.openstack("image", "create", *words)
    real_cloud.openstack("image", "save", "--file", str(saved), made["id"], form="")
    assert hashlib.sha256(saved.read_bytes()).digest() == hashlib.sha256(original.read_bytes()).digest()
    assert real_cloud.openstack("image", "show", "mine", "-c", "status")["status"] == "active"
    real_cloud.openstack("image", "delete", "mine", form="")
    assert "mine" not in {image["Name"] for image in real_cloud.openstack("image", "list")}


def test_ssh_runs_a_command_in_the_guest_under_its_own_key_and_name(guest: Guest) -> None:
    assert guest.await_answer("hostname") == NAME
    refused = guest.cloud.ssh(guest.address, "hostname", key=guest.cloud.state / "demo_key")
    assert refused.returncode == 255, "another server's key logs in"


def test_the_console_log_shows_the_guests_banner(guest: Guest) -> None:
    guest.await_answer("true; echo up")
    log = guest.cloud.openstack("console", "log", "show", NAME, form="")
    assert f"computecloud guest {NAME} ready after" in log


def test_what_happened_to_a_server_is_listed_and_shown_step_by_step(guest: Guest) -> None:
    events = guest.cloud.openstack("server", "event", "list", NAME)
    first = next(event for event in events if event["Action"] == "create")
    shown = guest.cloud.openstack("server", "event", "show", NAME, first["Request ID"])
    assert shown["action"] == "create"
    steps = [event["event"] for event in shown["events"]]
    assert [name for name in ("place", "wire", "image", "disks", "start") if name not in steps] == []
    assert {event["result"] for event in shown["events"]} == {"Success"}


def test_a_guest_that_is_shut_down_from_inside_shows_as_shutoff_within_seconds(guest: Guest) -> None:
    guest.await_answer("hostname")
    guest.say("poweroff")
    admin = guest.cloud.admin
    began = time.monotonic()

    def off() -> bool:
        return bool(admin.get(f"/compute/v2.1/servers/{guest.id}")["server"]["status"] == "SHUTOFF")

    until(off, SOON_S, "SHUTOFF")
    timings.note("poweroff inside the guest, to SHUTOFF", time.monotonic() - began)
    guest.cloud.openstack("server", "start", NAME, form="")
    until(lambda: status(guest) == "ACTIVE", SSH_S, "ACTIVE")
