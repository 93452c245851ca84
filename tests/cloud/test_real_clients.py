"""Every action of a tenant and an operator by the `openstack` command and by openstacksdk, seen in the guest itself."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from openstack.exceptions import ConflictException

from tests.cloud.clients import ApiClient, OpenstackCommand, Openstacksdk, Shown, Wish, await_status
from tests.cloud.cloud import Cloud, until
from tests.cloud.guest import SSH_S, Guest

pytestmark = [pytest.mark.cloud, pytest.mark.filterwarnings("ignore:::openstack")]

RAM_MIB = 192  # more than any flavor that `bin/up` gives the demo image has
MARKER = "left-by-user-data"
PROJECT = "demo"


@dataclass(frozen=True)
class Journey:
    """A client, the server that it made, and its guest."""

    client: ApiClient
    wish: Wish
    guest: Guest

    @property
    def server(self) -> str:
        """Return the server's id."""
        return self.guest.id

    @property
    def shown(self) -> Shown:
        """Return the server as the client shows it."""
        return self.client.show(self.server)

    def act(self, verb: str, status: str) -> None:
        """Have a verb act on the server, and wait for the status that it leads to."""
        self.client.act(self.server, verb)
        await_status(self.client, self.server, status)


@pytest.fixture(scope="module", params=[OpenstackCommand, Openstacksdk], ids=["command", "sdk"])
def journey(
    request: pytest.FixtureRequest, real_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Journey]:
    """Return a server with all that one can be given, made by a client, which deletes it in the end."""
    client: ApiClient = request.param(real_cloud)
    name = f"by-{request.param.__name__.lower()}"
    folder = tmp_path_factory.mktemp(name)
    key, user_data = folder / "key", folder / "user-data"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    user_data.write_text(f"#!/bin/sh\necho {MARKER} >/root/marker\n")
    assert name in client.create_key_pair(name, key.with_suffix(".pub"))
    assert name in client.create_flavor(name, RAM_MIB)
    client.create_security_group(name)
    wish = Wish(name, "as it was asked for", {"role": "web"}, "first", user_data)
    server = client.create(wish)
    [address] = client.show(server).addresses["public"]
    yield Journey(client, wish, Guest(real_cloud, server, address, key))
    assert server not in client.delete(wish, server)


def test_a_server_is_made_as_it_was_asked_for(journey: Journey) -> None:
    shown, wish, guest = journey.shown, journey.wish, journey.guest
    assert (shown.status, shown.name, shown.locked) == ("ACTIVE", wish.name, False)
    assert (shown.description, shown.metadata, shown.tags) == (wish.description, wish.metadata, [wish.tag])
    assert guest.await_answer("hostname") == wish.name
    assert f" {guest.address}/" in guest.say("ip", "-o", "addr")
    assert until(lambda: guest.say("cat", "/root/marker"), SSH_S, "the user data to run") == MARKER
    total = int(guest.say("awk", "/MemTotal/{print\\$2}", "/proc/meminfo"))
    assert RAM_MIB * 0.7 < total / 1024 < RAM_MIB, "the flavor's memory, less the kernel's"
    refused = guest.cloud.ssh(guest.address, "hostname", key=guest.cloud.state / "demo_key")
    assert refused.returncode == 255, "another key logs in"


def test_the_console_log_tells_of_the_config_drive(journey: Journey) -> None:
    log = journey.client.console_log(journey.server)
    [ready] = [line for line in log.splitlines() if "ready after" in line]
    assert f"computecloud guest {journey.wish.name} ready after" in ready
    assert f"={journey.guest.address} datasource=config-drive:" in ready


def test_the_security_group_lets_nothing_pass_but_what_its_rules_say(journey: Journey) -> None:
    guest = journey.guest
    guest.await_answer("hostname")
    assert not guest.echoes
    journey.client.let_pings_in(journey.wish.name)
    until(lambda: guest.echoes, SSH_S, "a ping to be answered")


def test_a_server_is_paused_and_unpaused(journey: Journey) -> None:
    journey.guest.is_held(lambda: journey.act("pause", "PAUSED"), lambda: journey.act("unpause", "ACTIVE"))


def test_a_server_is_suspended_and_resumed(journey: Journey) -> None:
    journey.guest.is_held(
        lambda: journey.act("suspend", "SUSPENDED"), lambda: journey.act("resume", "ACTIVE")
    )


@pytest.mark.parametrize("how", ["soft", "hard"])
def test_a_server_is_rebooted(journey: Journey, how: str) -> None:
    journey.guest.boots_anew(lambda: journey.act(f"reboot {how}", "ACTIVE"))


def test_a_server_is_stopped_and_started(journey: Journey) -> None:
    def stop_and_start() -> None:
        journey.act("stop", "SHUTOFF")
        assert journey.guest.say("echo up") == "", "a guest that is off answers"
        journey.act("start", "ACTIVE")

    journey.guest.boots_anew(stop_and_start)
    assert journey.client.actions(journey.server)[:2] == ["start", "stop"]


def test_a_locked_server_is_left_alone_until_it_is_unlocked(journey: Journey) -> None:
    boot = journey.guest.await_boot_id()
    journey.client.act(journey.server, "lock")
    assert journey.shown.locked
    with pytest.raises((AssertionError, ConflictException), match="locked"):
        journey.client.act(journey.server, "stop")
    assert journey.guest.await_boot_id() == boot
    journey.client.act(journey.server, "unlock")
    assert not journey.shown.locked


def test_name_description_metadata_and_tags_are_changed_and_the_guest_is_told(journey: Journey) -> None:
    client, server, guest = journey.client, journey.server, journey.guest
    client.describe(server, "renamed", "as it is now")
    client.set_metadata(server, "season", "winter")
    client.unset_metadata(server, "role")
    client.set_tag(server, "second")
    shown = journey.shown
    assert (shown.name, shown.description) == ("renamed", "as it is now")
    assert (shown.metadata, sorted(shown.tags)) == ({"season": "winter"}, ["first", "second"])
    told = until(lambda: (d := guest.documents)["name"] == "renamed" and d, SSH_S, "the guest to be told")
    assert told["meta"] == {"season": "winter"}
    assert guest.say("hostname") == journey.wish.name, "a name that is shown is no host name"


def test_a_quota_is_set_and_dropped(journey: Journey) -> None:
    client = journey.client
    before = client.instances_quota(PROJECT)
    client.set_instances_quota(PROJECT, before + 7)
    assert client.instances_quota(PROJECT) == before + 7
    client.drop_quota(PROJECT)
    assert client.instances_quota(PROJECT) == before


def test_a_disabled_service_keeps_its_guests(journey: Journey, real_cloud: Cloud) -> None:
    client = journey.client
    assert real_cloud.host in client.hypervisors()
    client.disable_service(real_cloud.host, "to be mended")
    try:
        assert client.service(real_cloud.host) == ("disabled", "to be mended")
        assert journey.guest.await_answer("hostname") == journey.wish.name
    finally:
        client.enable_service(real_cloud.host)
    assert client.service(real_cloud.host) == ("enabled", "")
