"""A server of a cloud under test as its guest shows it: to whoever logs in, and to whoever is not let in."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cloud.cloud import Cloud, until

SSH_S = 60.0
METADATA = "http://169.254.169.254/openstack/latest/meta_data.json"


@dataclass(frozen=True)
class Guest:
    """A server that has an address on the public network, and the key that logs in to it."""

    cloud: Cloud
    id: str
    address: str
    key: Path

    def say(self, *command: str) -> str:
        """Return what a command says in the guest; empty while nobody answers."""
        return self.cloud.ssh(self.address, *command, key=self.key).stdout.strip()

    def await_answer(self, *command: str) -> str:
        """Return what a command says as soon as the guest answers."""
        answer: str = until(
            lambda: self.say(*command), SSH_S, f"{self.address} to answer on SSH", every_s=0.3
        )
        return answer

    def await_boot_id(self) -> str:
        """Return the kernel's name for the boot that the guest is in."""
        return self.await_answer("cat", "/proc/sys/kernel/random/boot_id")

    @property
    def documents(self) -> Any:
        """Return what the metadata service tells the guest now."""
        return json.loads(self.await_answer("wget", "-q", "-O", "-", METADATA))

    @property
    def echoes(self) -> bool:
        """Tell whether it answers a ping from the host."""
        words = ("busybox", "ping", "-c", "1", "-W", "2", self.address)
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    def is_held(self, hold: Callable[[], Any], release: Callable[[], Any]) -> None:
        """See that it is silent between the two, and then goes on with what it did."""
        boot = self.await_boot_id()
        assert self.say("echo going-on >/run/before; cat /run/before") == "going-on"
        hold()
        assert self.say("echo up") == "", "a guest that is held answers"
        release()
        assert self.await_answer("cat", "/run/before") == "going-on"
        assert self.await_boot_id() == boot, "the guest has booted meanwhile"

    def boots_anew(self, act: Callable[[], Any]) -> None:
        """See that the act boots it, and that it forgets what was in its memory."""
        boot = self.await_boot_id()
        act()

        def another() -> bool:
            return self.await_boot_id() != boot

        until(another, SSH_S, f"{self.address} to boot", every_s=0.3)
        assert self.await_answer("ls /run/before; echo up") == "up"
