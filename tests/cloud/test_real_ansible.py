"""Ansible's openstack.cloud modules, on a real guest: what is there changes nothing when asked for again."""

import json
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cloud.ansible import collection
from tests.cloud.cloud import COMMAND_S, Cloud, until
from tests.cloud.guest import SSH_S, Guest
from tests.patience import patience

pytestmark = [pytest.mark.cloud, pytest.mark.long]

NAME = "playbook"  # of all that the playbooks make
PLAYBOOKS = Path(collection.__file__).parent
PLAY_S = COMMAND_S * 5  # a module takes 1 to 3 s


@dataclass(frozen=True)
class Ansible:
    """Ansible, told about a cloud and the tenant that it is to make there."""

    cloud: Cloud
    variables: Path

    def play(self, playbook: str, *, inventory: str = "localhost,", **variables: str) -> int:
        """Run a playbook; returns how many of its tasks changed something."""
        given = [word for item in variables.items() for word in ("-e", "=".join(item))]
        given += ["--inventory", inventory]
        command = [sys.executable, "-m", "ansible", "playbook", "-e", f"@{self.variables}", *given]
        environment = {
            key: value for key, value in self.cloud.environment.items() if not key.startswith("ANSIBLE_")
        }
        environment |= {
            "ANSIBLE_HOME": str(self.variables.parent),
            "ANSIBLE_COLLECTIONS_PATH": str(collection.folder()),
            "ANSIBLE_INVENTORY_UNPARSED_FAILED": "true",
            "ANSIBLE_NOCOLOR": "true",
            "LC_ALL": "C.UTF-8",
        }
        done = subprocess.run(
            [*command, str(PLAYBOOKS / playbook)], env=environment, capture_output=True, text=True,
            check=False, timeout=PLAY_S * patience(),
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        changed = [int(number) for number in re.findall(r"\bchanged=(\d+)", done.stdout)]
        assert changed, f"nothing was played: {done.stdout}{done.stderr}"
        return sum(changed)


@pytest.fixture(scope="module")
def ansible(real_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Ansible:
    """Return Ansible; its collection is here, as bin/test fetches it before there is no network."""
    assert collection.folder().is_dir(), "python -m tests.cloud.ansible.collection fetches it"
    folder = tmp_path_factory.mktemp("ansible")
    key, variables = folder / "key", folder / "variables.json"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    clouds = json.loads((real_cloud.state / "clouds.yaml").read_text())["clouds"]
    tenant = clouds["computecloud"]
    tenant["auth"] |= {"username": NAME, "project_name": NAME, "password": secrets.token_hex(12)}
    told = {
        "ansible_python_interpreter": sys.executable,
        "public_key_file": f"{key}.pub",
        "tenant": tenant,
        "host": real_cloud.host,
    }
    variables.write_text(json.dumps(told))
    return Ansible(real_cloud, variables)


@pytest.fixture(scope="module")
def guest(ansible: Ansible) -> Iterator[Guest]:
    """Return the guest of what a playbook makes; what others take away is gone in the end, and once more is nothing."""
    assert ansible.play("present.yml") > 0
    cloud = ansible.cloud
    [shown] = cloud.admin.get(f"/compute/v2.1/servers/detail?all_tenants=1&name={NAME}")["servers"]
    [address] = shown["addresses"]["public"]
    yield Guest(cloud, shown["id"], address["addr"], ansible.variables.with_name("key"))
    for playbook in ("absent.yml", "gone.yml"):
        assert ansible.play(playbook) > 0
        assert ansible.play(playbook) == 0
    assert cloud.admin.get(f"/compute/v2.1/servers?all_tenants=1&name={NAME}")["servers"] == []


def act(ansible: Ansible, do: str, status: str) -> None:
    """Have the server acted on; fails unless its status is then as it should be."""
    assert ansible.play("act.yml", do=do, status=status) == 1


def test_a_server_is_made_as_the_playbook_says(guest: Guest) -> None:
    assert guest.await_answer("hostname") == NAME
    assert f" {guest.address}/" in guest.say("ip", "-o", "addr")
    marker = until(lambda: guest.say("cat", "/root/marker"), SSH_S, "the user data to run")
    assert marker == "made-by-ansible"
    assert not guest.echoes, "its security group lets nothing in but SSH"
    assert guest.documents["meta"] == {"role": "web"}


def test_the_playbook_run_again_changes_nothing(ansible: Ansible, guest: Guest) -> None:
    boot = guest.await_boot_id()
    assert ansible.play("present.yml") == 0
    assert guest.await_boot_id() == boot


def test_the_modules_tell_of_what_was_made(ansible: Ansible, guest: Guest) -> None:
    assert ansible.play("look.yml") == 0


def test_the_inventory_finds_the_server_and_ansible_logs_in(ansible: Ansible, guest: Guest) -> None:
    guest.await_answer("hostname")
    servers = str(PLAYBOOKS / "servers.openstack.yml")
    assert ansible.play("log_in.yml", inventory=servers, private_key_file=str(guest.key)) == 0


def test_a_server_is_paused_and_unpaused(ansible: Ansible, guest: Guest) -> None:
    guest.is_held(
        lambda: act(ansible, "pause", "PAUSED"),
        lambda: act(ansible, "unpause", "ACTIVE"),
    )


def test_a_server_is_suspended_and_resumed(ansible: Ansible, guest: Guest) -> None:
    guest.is_held(
        lambda: act(ansible, "suspend", "SUSPENDED"),
        lambda: act(ansible, "resume", "ACTIVE"),
    )


@pytest.mark.parametrize("how", ["reboot_soft", "reboot_hard"])
def test_a_server_is_rebooted(ansible: Ansible, guest: Guest, how: str) -> None:
    guest.boots_anew(lambda: act(ansible, how, "ACTIVE"))


def test_a_server_is_stopped_and_started(ansible: Ansible, guest: Guest) -> None:
    def stop_and_start() -> None:
        act(ansible, "stop", "SHUTOFF")
        assert guest.say("echo up") == "", "a guest that is off answers"
        act(ansible, "start", "ACTIVE")

    guest.boots_anew(stop_and_start)


def test_a_locked_server_is_left_alone(ansible: Ansible, guest: Guest) -> None:
    boot = guest.await_boot_id()
    assert ansible.play("lock.yml") == 2
    assert guest.await_boot_id() == boot


def test_metadata_comes_and_goes_and_the_guest_is_told(ansible: Ansible, guest: Guest) -> None:
    assert ansible.play("describe.yml") == 2
    assert ansible.play("describe.yml") == 0
    until(lambda: guest.documents["meta"] == {"season": "winter"}, SSH_S, "the guest to be told")
    assert ansible.play("present.yml") == 1, "the server is described as before, and nothing else"
    until(lambda: guest.documents["meta"] == {"role": "web"}, SSH_S, "the guest to be told")


def test_a_disabled_service_keeps_its_guests(ansible: Ansible, guest: Guest) -> None:
    try:
        assert ansible.play("service.yml", status="disabled") == 1
        assert guest.await_answer("hostname") == NAME
    finally:
        ansible.play("service.yml", status="enabled")
