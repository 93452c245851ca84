"""PgBouncer before a PostgreSQL of the tests' own, each transaction on whichever of its few sessions is free."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from tests.cloud.cloud import until
from tests.cloud.postgresql import Cluster
from tests.cloud.rabbitmq import free_port

SESSIONS = 6  # fewer than a cloud has connections
START_S = 10.0


@dataclass
class PgBouncer:
    """One pooler with its settings in the cluster's folder; it may be running or not."""

    cluster: Cluster
    port: int = field(default_factory=free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Return the address for COMPUTECLOUD_DATABASE_URL."""
        return f"postgresql://test@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = self.cluster.folder / "pgbouncer.ini"
        settings.write_text(self._settings())
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        user = ["-u", "postgres"] if os.geteuid() == 0 else []  # it refuses to be root
        with (self.cluster.folder / "pgbouncer.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, *user, str(settings)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until(self.answers, START_S, "PgBouncer to answer")

    def kill(self) -> None:
        """End it at once, and with it every connection."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(START_S)

    def answers(self) -> bool:
        """Tell whether one can ask the database through it."""
        try:
            with psycopg.connect(self.url, connect_timeout=1) as own:
                return own.execute("SELECT 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False

    def _settings(self) -> str:
        """Return its settings, as the operating guide asks for them."""
        lines = (
            "[databases]",
            f"postgres = host={self.cluster.folder} user=test",
            "[pgbouncer]",
            "listen_addr = 127.0.0.1",
            f"listen_port = {self.port}",
            "unix_socket_dir =",
            "auth_type = any",
            "pool_mode = transaction",
            "ignore_startup_parameters = options",
            f"default_pool_size = {SESSIONS}",
        )
        return "\n".join(lines) + "\n"


@contextmanager
def running(cluster: Cluster) -> Iterator[PgBouncer]:
    """Yield one that runs for as long as the block does."""
    made = PgBouncer(cluster)
    made.start()
    try:
        yield made
    finally:
        made.kill()
