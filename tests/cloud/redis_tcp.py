"""A Redis of the tests' own on a TCP port, as a cloud of several machines has it."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cloud.cloud import until
from tests.cloud.rabbitmq import free_port

START_S = 10.0


@contextmanager
def running() -> Iterator[int]:
    """Yield the port of a Redis that runs for as long as the block does, and keeps nothing."""
    port = free_port()
    program = shutil.which("redis-server")
    assert program, "run bin/test, which installs redis-server"
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--maxmemory-policy", "noeviction")
    server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        until(lambda: _answers(port), START_S, "Redis to answer")
        yield port
    finally:
        server.kill()
        server.wait(START_S)


def _answers(port: int) -> bool:
    command = ["redis-cli", "-p", str(port), "ping"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=START_S)
    return done.stdout.strip() == "PONG"
