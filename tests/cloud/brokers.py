"""A cloud's broker under test, Redis or RabbitMQ: restarted, emptied, held, short of memory, cut off."""

import os
import signal
import subprocess
from dataclasses import dataclass
from typing import Protocol

from tests.cloud.cloud import Cloud, until
from tests.patience import patience

TABLE = "computecloud_test"


class Broker(Protocol):
    """What can be done to either."""

    def restart(self) -> None:
        """Kill it and have it run again."""

    def wipe(self) -> None:
        """Throw away all that is in it."""

    def pause(self) -> None:
        """Have it do nothing, its connections open."""

    def resume(self) -> None:
        """Have it go on."""

    def fill_memory(self) -> None:
        """Have it take no message for want of memory."""

    def free_memory(self) -> None:
        """Have it take messages again."""

    def mend(self) -> None:
        """Have it run as usual, whatever was done to it."""


@dataclass(frozen=True)
class Redis:
    """The Redis that the cloud runs itself."""

    cloud: Cloud

    def restart(self) -> None:
        """Kill it; its supervisor starts it."""
        self.cloud.await_back("redis", self.cloud.kill("redis"))
        self._await_answer()

    def wipe(self) -> None:
        """Delete every key."""
        self._ask("flushall")

    def pause(self) -> None:
        """Stop its process."""
        os.kill(self.cloud.process("redis").pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Continue its process."""
        os.kill(self.cloud.process("redis").pid, signal.SIGCONT)

    def fill_memory(self) -> None:
        """Allow it less than it has; it evicts nothing."""
        assert "noeviction" in self._ask("config", "get", "maxmemory-policy")
        self._ask("config", "set", "maxmemory", "1")

    def free_memory(self) -> None:
        """Allow it all."""
        self._ask("config", "set", "maxmemory", "0")

    def mend(self) -> None:
        """Have it run as usual."""
        self.resume()
        self._await_answer()
        self.free_memory()

    def _await_answer(self) -> None:
        until(lambda: self._ask("ping") == "PONG", 10, "Redis to answer")

    def _ask(self, *words: str) -> str:
        command = ["redis-cli", "-s", str(self.cloud.state / "run" / "redis.sock"), *words]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=10 * patience()
        ).stdout.strip()


def of(cloud: Cloud) -> Broker:
    """Return the broker of a cloud."""
    return cloud.rabbitmq or Redis(cloud)


def cut_off(port: int) -> None:
    """Drop every packet to and from a server's port: neither side is told anything."""
    rules = "".join(f"add rule inet {TABLE} input tcp {side} {port} drop\n" for side in ("sport", "dport"))
    chain = f"add chain inet {TABLE} input {{ type filter hook input priority 0; }}\n"
    _nft(f"add table inet {TABLE}\n{chain}{rules}")


def connect_again() -> None:
    """Let packets through."""
    _nft(f"delete table inet {TABLE}\n")


def _nft(script: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=script, text=True, check=True, timeout=10 * patience())
