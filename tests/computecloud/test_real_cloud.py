"""bin/up with real guests, from an empty folder to a purged one: what a newcomer sees, and what is left behind.

What is done with such a cloud is in tests/cloud.
"""

import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from networking import names
from tests.computecloud.installed import ROOT, Cloud
from tests.patience import patience

pytestmark = [pytest.mark.cloud, pytest.mark.guest]


def on_host(state: Path) -> dict[str, set[str]]:
    """Return what the host has of the kinds of things that a cloud makes, without those of other clouds here."""
    others = re.compile(rf"(table \w+ )?cc_?(?!{names.tag_of(str(state))})[a-z2-7]{{3}}")

    def lines(*command: str) -> set[str]:
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return {line for line in text.splitlines() if not others.match(line)}

    return {
        "links": lines("ls", "/sys/class/net"),
        "namespaces": lines("ip", "netns"),
        "tables": lines("nft", "list", "tables"),
        "folders": lines("ls", "/run"),
    }


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    cloud = Cloud(())
    usual = ROOT / "var" / "test" / "cache" / "demo-packages"
    cache = Path(os.environ.get("COMPUTECLOUD_DEMO_CACHE", usual))
    cache.mkdir(parents=True, exist_ok=True)
    (cloud.state / "cache").mkdir()
    (cloud.state / "cache" / "demo-packages").symlink_to(cache)
    yield cloud
    cloud.purge()


@pytest.fixture(scope="module")
def before(cloud: Cloud) -> dict[str, set[str]]:
    return on_host(cloud.state)


@pytest.fixture(scope="module")
def report(cloud: Cloud, before: dict[str, set[str]]) -> str:
    return cloud.up().stdout


def ssh(report: str, *words: str) -> str:
    line = next(line for line in report.splitlines() if line.startswith("Log in to hello:"))
    command = [*shlex.split(line.partition(":")[2]), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60 * patience()).stdout


def test_the_first_server_answers_on_ssh_under_its_name_and_key(cloud: Cloud, report: str) -> None:
    assert "SSH answers after" in report
    assert ssh(report, "hostname") == "hello\n"
    public = (cloud.state / "demo_key.pub").read_text().split()[1]
    assert public in ssh(report, "cat", "/root/.ssh/authorized_keys")


def test_guests_go_on_while_the_cloud_is_down(cloud: Cloud, report: str) -> None:
    assert "1 guest goes on running" in cloud.run("down").stdout
    assert ssh(report, "hostname") == "hello\n"
    cloud.up()
    assert "ACTIVE" in cloud.openstack("server", "show", "hello", "-f", "value", "-c", "status")
    ssh(report, "echo still heard >/dev/console")
    deadline = time.monotonic() + 10 * patience()
    while "still heard" not in cloud.openstack("console", "log", "show", "hello"):
        assert time.monotonic() < deadline


def test_purge_leaves_the_host_as_it_was(cloud: Cloud, report: str, before: dict[str, set[str]]) -> None:
    assert on_host(cloud.state) != before
    cloud.run("down", "--purge")
    assert not cloud.state.exists()
    assert on_host(cloud.state) == before
    assert cloud.processes() == []
