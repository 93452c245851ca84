"""bin/up --driver fake, from an empty folder to a purged one."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.computecloud.installed import Cloud, free_port, proportional_mib
from tests.patience import patience

pytestmark = pytest.mark.cloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    cloud = Cloud(("--driver", "fake"))
    yield cloud
    cloud.purge()


def test_it_comes_up_with_a_first_server_and_says_how_to_go_on(cloud: Cloud) -> None:
    text = cloud.up().stdout
    assert "Boot the server hello" in text
    assert "ACTIVE" in text
    assert "start " in text  # a step of the timeline
    assert f"http://127.0.0.1:{cloud.port}/identity/v3" in text
    assert text.count("  bin/openstack ") == 3
    assert "passwords.txt" in text


def test_up_again_changes_nothing_and_says_so_within_three_seconds(cloud: Cloud) -> None:
    before, began_s = cloud.pids(), time.monotonic()
    text = cloud.up().stdout
    assert time.monotonic() - began_s < 10 * patience()
    assert "Nothing to do" in text
    assert cloud.pids() == before


def test_it_is_seven_processes_and_at_most_320_mib(cloud: Cloud) -> None:
    processes = cloud.processes()
    assert len(processes) == 7
    assert sum(map(proportional_mib, processes)) <= 320


def test_the_openstack_client_works_as_tenant_and_as_administrator(cloud: Cloud) -> None:
    server = ("--image", "demo", "--flavor", "m1.nano", "--nic", "none", "--wait", "second")
    assert "ACTIVE" in cloud.openstack("server", "create", *server)
    assert "second" in cloud.openstack("server", "list")
    cloud.openstack("server", "delete", "--wait", "second")
    listed = cloud.run("openstack", "hypervisor", "list", OS_CLOUD="computecloud-admin").stdout
    assert "fake-1" in listed
    assert "create" in cloud.openstack("server", "event", "list", "hello")
    assert "m1.xlarge" in cloud.openstack("flavor", "list")
    assert "public" in cloud.openstack("network", "list")


def test_doctor_finds_nothing(cloud: Cloud) -> None:
    text = cloud.run("computecloud", "doctor").stdout
    assert "✗" not in text
    assert text.count("✓") > 10


def test_the_admin_has_its_style_sheet(cloud: Cloud) -> None:
    import urllib.request

    with urllib.request.urlopen(
        f"http://127.0.0.1:{cloud.port}/static/admin/css/base.css", timeout=5
    ) as answer:
        assert len(answer.read()) > 1000


def test_a_killed_process_is_started_again(cloud: Cloud) -> None:
    before = cloud.pids()
    os.kill(before["web"], signal.SIGKILL)
    deadline = time.monotonic() + 20 * patience()
    while cloud.pids().get("web") in (None, before["web"]) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert "Nothing to do" in cloud.up().stdout


def test_up_recovers_from_a_killed_supervisor(cloud: Cloud) -> None:
    before = cloud.pids()
    os.kill(before["supervisord"], signal.SIGKILL)
    assert "Stop what runs" in cloud.up().stdout
    assert set(before.values()).isdisjoint(cloud.pids().values())
    assert len(cloud.processes()) == 7


def test_another_driver_is_refused(cloud: Cloud) -> None:
    result = cloud.run("up", "--driver", "libvirt", check=False)
    assert result.returncode == 1
    assert "made with --driver fake" in result.stderr


def test_a_taken_port_is_named(cloud: Cloud) -> None:
    other = Cloud(("--driver", "fake"), port=cloud.port)
    try:
        result = other.up(check=False)
        assert result.returncode == 1
        assert f"cannot have 127.0.0.1:{cloud.port}" in result.stderr
        assert "--port" in result.stderr
    finally:
        other.purge()


def test_more_hosts_and_another_port_are_taken_up(cloud: Cloud) -> None:
    cloud.port = free_port()
    text = cloud.up("--hosts", "2", "--nodes", "3").stdout
    assert "fake-1, fake-2" in text
    listed = cloud.run("openstack", "hypervisor", "list", "-f", "value", OS_CLOUD="computecloud-admin").stdout
    assert len(listed.splitlines()) == 6


def test_down_stops_all_and_up_finds_all_again(cloud: Cloud) -> None:
    cloud.run("down")
    assert cloud.processes() == []
    result = cloud.run("computecloud", "status", check=False)
    assert "nothing runs" in result.stderr
    assert "Nothing ran" in cloud.run("down").stdout
    cloud.up()
    assert "hello" in cloud.openstack("server", "list")


def test_a_deleted_first_server_is_not_made_again(cloud: Cloud) -> None:
    cloud.openstack("server", "delete", "--wait", "hello")
    assert "was deleted" in cloud.up().stdout
    assert "hello" not in cloud.openstack("server", "list")


def test_purge_leaves_nothing(cloud: Cloud) -> None:
    cloud.run("down", "--purge")
    assert not cloud.state.exists()
    assert cloud.processes() == []
