"""A private RabbitMQ: one broker in a folder of its own, on ports of its own, with an epmd of its own; no systemd.

Its Erlang VM and epmd are our own children, each in a session of its own, so that all of it can be ended, killed and
paused by what we started.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import amqp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.patience import patience

SBIN = Path("/usr/lib/rabbitmq/bin")  # the scripts themselves: those in /usr/sbin change to the user rabbitmq
START_S, STOP_S = 60.0, 30.0
USER = "guest"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class RabbitMQ:
    """One broker; it may be running or not."""

    folder: Path
    port: int = field(default_factory=free_port)
    tls_port: int = 0
    _epmd_port: int = field(default_factory=free_port)
    _distribution_port: int = field(default_factory=free_port)
    _node: str = field(default_factory=lambda: f"test-{uuid4().hex[:12]}@localhost")
    _server: "subprocess.Popen[bytes] | None" = None
    _epmd: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Return the address for COMPUTECLOUD_BROKER_URL."""
        return f"amqp://{USER}:{USER}@127.0.0.1:{self.port}//"

    @property
    def log(self) -> Path:
        """Return the file of what it prints."""
        return self.folder / "console.log"

    def start(self) -> None:
        """Start it with what it had before, and wait until it takes connections."""
        for name in ("mnesia", "log"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "enabled_plugins").write_text("[].\n")
        settings = self._tls_settings() if self.tls_port else ""
        (self.folder / "rabbitmq.conf").write_text(
            settings + "loopback_users = none\nvm_memory_high_watermark.relative = 0.4\n"
        )
        if self._epmd is None or self._epmd.poll() is not None:
            command = ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"]
            self._epmd = self._spawn(command)
        self._server = self._spawn([str(SBIN / "rabbitmq-server")])
        deadline = time.monotonic() + START_S * patience()
        while not self.answers():
            assert self._server.poll() is None, f"RabbitMQ ended: {self._said()}"
            assert time.monotonic() < deadline, f"RabbitMQ does not answer: {self._said()}"
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it as an operator would; what is durable is there when it starts again."""
        if self._server is not None and self._server.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
            self._await_end()

    def kill(self) -> None:
        """Kill it with SIGKILL; its connections are reset."""
        if self._server is not None and self._server.poll() is None:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._await_end()

    def restart(self) -> None:
        """Kill it and start it again with what it had."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Have it do nothing, with its connections open."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def mend(self) -> None:
        """Have it run as usual again, whatever was done to it."""
        if self._server is None or self._server.poll() is not None:
            self.start()
        else:
            self.resume()
        self.free_memory()

    def wipe(self) -> None:
        """Kill it and start it again with nothing: no queue, no message."""
        self.kill()
        shutil.rmtree(self.folder / "mnesia")
        self.start()

    def remove(self) -> None:
        """End all of it and remove its folder."""
        self.kill()
        if self._epmd is not None and self._epmd.poll() is None:
            self._epmd.kill()
            self._epmd.wait(STOP_S)
        shutil.rmtree(self.folder, ignore_errors=True)

    def control(self, *words: str) -> str:
        """Return what rabbitmqctl prints; it takes a second or two."""
        command = [str(SBIN / "rabbitmqctl"), "-q", "-n", self._node, *words]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def waiting(self, queue: str) -> int:
        """Return how many messages in a queue no worker has taken; the tools' own figures are seconds old."""
        with self.connection() as broker:
            return int(broker.channel().queue_declare(queue, passive=True).message_count)

    def fill_memory(self) -> None:
        """Have it raise its memory alarm: it takes no more from whoever publishes."""
        self.control("set_vm_memory_high_watermark", "absolute", "1MB")

    def free_memory(self) -> None:
        """End the memory alarm."""
        self.control("set_vm_memory_high_watermark", "0.4")

    def purge(self, queue: str) -> int:
        """Throw away the messages in a queue that no worker has taken; returns how many."""
        with self.connection() as broker:
            return int(broker.channel().queue_purge(queue))

    def delete(self, queue: str) -> None:
        """Delete a queue under its consumers."""
        with self.connection() as broker:
            broker.channel().queue_delete(queue)

    @contextmanager
    def connection(self) -> Iterator[amqp.Connection]:
        """Return a connection of the tests' own."""
        broker = amqp.Connection(
            f"127.0.0.1:{self.port}",
            userid=USER,
            password=USER,
            connect_timeout=2,
            read_timeout=5,
            write_timeout=5,
        )
        broker.connect()
        try:
            yield broker
        finally:
            broker.close()

    @property
    def pid(self) -> int:
        """Return the process of its Erlang VM."""
        return int((self.folder / "pid").read_text())

    @property
    def _environment(self) -> dict[str, str]:
        kept = {key: os.environ[key] for key in ("PATH", "LANG", "TZ") if key in os.environ}
        return {
            **kept,
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),  # .erlang.cookie
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "generated"),
            "RABBITMQ_SCHEMA_DIR": str(self.folder / "schema"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            # One scheduler that does not spin: the machine has few processors, and others work on it.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    @property
    def certificate(self) -> Path:
        """Return the certificate that it shows to who connects over TLS; it is its own authority."""
        return self.folder / "certificate.pem"

    def _tls_settings(self) -> str:
        key, name = (
            ec.generate_private_key(ec.SECP256R1()),
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")]),
        )
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.certificate.write_bytes(made.public_bytes(Encoding.PEM))
        secret = self.folder / "key.pem"
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return (
            f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}\nssl_options.certfile = {self.certificate}\n"
            f"ssl_options.keyfile = {secret}\n"
        )

    def _spawn(self, command: list[str]) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                env=self._environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def answers(self) -> bool:
        """Tell whether it takes connections."""
        with suppress(OSError, amqp.AMQPError):
            with self.connection():
                return True
        return False

    def _await_end(self) -> None:
        assert self._server is not None
        self._server.wait(STOP_S)

    def _said(self) -> str:
        return self.log.read_text(errors="replace")[-2_000:]


def installed() -> bool:
    """Tell whether RabbitMQ is on this machine."""
    return (SBIN / "rabbitmq-server").exists()


@contextmanager
def running(*, tls_port: int = 0) -> Iterator[RabbitMQ]:
    """Return a RabbitMQ that runs for as long as the block does."""
    assert installed(), "run bin/test, which installs rabbitmq-server"
    broker = RabbitMQ(Path(tempfile.mkdtemp(prefix="computecloud-rabbitmq-")), tls_port=tls_port)
    try:
        broker.start()
        yield broker
    finally:
        broker.remove()
