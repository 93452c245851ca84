"""A machine becomes a host over SSH: a cloud on PostgreSQL and Redis, a lab host, and a real guest there."""

import json
import os
import secrets
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis

from computecloud.cli import demo_image
from computecloud.cli.installation import ROOT
from tests.cloud import conftest as clouds
from tests.cloud.cloud import SSH_OPTIONS, Cloud, until
from tests.cloud.postgresql import Cluster
from tests.cloud.rabbitmq import free_port
from tests.cloud.servers import Server, boot
from tests.lab.hosts import MACHINE, NETWORK, Lab, LabHost, lab

pytestmark = [pytest.mark.cloud, pytest.mark.long]

IMAGE = ROOT / "var" / "test" / "demo.qcow2"  # bin/test makes it
SETTINGS = "/var/lib/computecloud/settings.env"
SSH_S, ENROLL_S = 180.0, 540.0


@dataclass
class Place:
    """A cloud on the lab's network, and one machine that is to become its host."""

    cloud: Cloud
    lab: Lab
    machine: LabHost
    database: Cluster
    redis_url: str

    def host(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `computecloud host …`."""
        return self.cloud.run("host", *words, seconds=ENROLL_S)

    def enroll(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Enroll the machine, as an operator who knows how it is reached."""
        known = ("--known-hosts", str(self.lab.folder / "known_hosts"), "--identity", str(self.lab.key))
        return self.host("enroll", f"root@{self.machine.address}", *known, "--api-at", MACHINE, *words)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Return a cloud of a fake host, which costs nothing, and a bare machine on its network."""
    yield from a_place("fake")


def a_place(driver: str) -> Iterator[Place]:
    """Yield a cloud whose database and broker listen on the lab's network, and a bare machine there."""
    with lab() as made, _redis() as redis_url:
        port, password = free_port(), secrets.token_hex(8)
        access = f"host all all {NETWORK} scram-sha-256"
        database = Cluster.make(f"listen_addresses={MACHINE}", f"port={port}", access=access)
        with psycopg.connect(f"postgresql://test@/postgres?host={database.folder}&port={port}") as connection:
            connection.execute(f"ALTER ROLE test PASSWORD '{password}'".encode())
        url = f"postgresql://test:{password}@{MACHINE}:{port}/postgres"
        settings = {
            "DATABASE_URL": url,
            "BROKER_URL": redis_url,
            "WEB_HOST": "0.0.0.0",
            "UNDERLAY_IP": MACHINE,
        }
        host = "fake-1" if driver == "fake" else os.uname().nodename
        cloud = Cloud(clouds._folder("lab"), driver, free_port(), host, settings)
        if driver != "fake":
            cloud.state.mkdir()
            shutil.copy(IMAGE, cloud.state / "demo.qcow2")
        running = clouds._running(cloud)
        next(running)
        try:
            machine = made.add({cloud.state / "images": "/var/lib/computecloud/images"})
            yield Place(cloud, made, machine, database, redis_url)
        finally:
            next(running, None)
            database.remove()


@contextmanager
def _redis() -> Iterator[str]:
    """Yield the address of a Redis on the lab's network, which keeps its users in a file."""
    folder, port, password = (
        Path(tempfile.mkdtemp(prefix="computecloud-redis-")),
        free_port(),
        secrets.token_hex(8),
    )
    (folder / "redis.conf").write_text(
        f'bind {MACHINE}\nport {port}\nrequirepass {password}\ndir {folder}\nsave ""\nlogfile {folder}/log\n'
    )
    process = subprocess.Popen(["redis-server", str(folder / "redis.conf")])
    try:
        yield f"redis://:{password}@{MACHINE}:{port}/0"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def worker_row(place: Place, column: str) -> object:
    """Return a column of the host's row."""
    with psycopg.connect(place.cloud.settings["DATABASE_URL"]) as connection:
        row = connection.execute(
            f"SELECT {column} FROM workers_host WHERE name = %s".encode(), [place.machine.name]
        ).fetchone()
    return row[0] if row else None


def settings_there(place: Place) -> dict[str, str]:
    """Return the settings that the machine was given."""
    lines = place.machine.run("cat", SETTINGS).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def test_a_machine_whose_key_nobody_knows_is_refused_with_its_fingerprint(place: Place) -> None:
    refused = place.enroll()
    assert refused.returncode == 1
    assert place.machine.fingerprint in refused.stderr and "--accept-new" in refused.stderr
    assert worker_row(place, "id") is None


def test_a_machine_is_enrolled_and_takes_guests(place: Place) -> None:
    done = place.enroll("--accept-new", "--copy-packages")
    assert done.returncode == 0, done.stdout + done.stderr
    for said in (
        place.machine.fingerprint,
        "debian 12",
        f"by {place.machine.address}",
        "First heartbeat",
        "Host lab1 takes guests",
    ):
        assert said in done.stdout
    [shown] = [one for one in json.loads(place.host("list", "--json").stdout) if one["name"] == "lab1"]
    assert (shown["state"], shown["enabled"], shown["nodes"]) == ("up", True, 1)


def test_again_it_changes_nothing(place: Place) -> None:
    worker, before = worker_row(place, "worker"), place.machine.run("cat", SETTINGS)
    done = place.enroll("--copy-packages")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("as before") >= 4
    assert place.machine.run("cat", SETTINGS) == before
    assert worker_row(place, "worker") == worker, "its worker was started anew"


def test_the_worker_has_secrets_that_only_root_reads_and_none_too_many(place: Place) -> None:
    assert place.machine.run("stat", "-c", "%a %U", SETTINGS).split() == ["600", "root"]
    there, ours = place.machine.run("cat", SETTINGS), (place.cloud.state / "settings.env").read_text()
    [secret_key] = [line for line in ours.splitlines() if line.startswith("COMPUTECLOUD_SECRET_KEY=")]
    assert secret_key not in there
    assert place.cloud.settings["DATABASE_URL"] not in there and place.redis_url not in there
    assert stat.S_IMODE((place.cloud.state / "settings.env").stat().st_mode) == 0o600


def test_its_database_role_sees_no_users_and_no_keys(place: Place) -> None:
    [url] = shlex.split(settings_there(place)["COMPUTECLOUD_DATABASE_URL"])
    with psycopg.connect(url, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM workers_host").fetchone() == (2,)
        for table in (
            *("identity_user", "identity_roleassignment", "instances_keypair", "workers_idempotencykey"),
            *("workers_enrolment", "django_session", "django_migrations"),
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT 1 FROM {table}".encode())
        for statement in ("DELETE FROM images_image", "CREATE TABLE mine (id int)", "CREATE ROLE mine"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_its_broker_user_reads_its_own_queues_alone(place: Place) -> None:
    [url] = shlex.split(settings_there(place)["COMPUTECLOUD_BROKER_URL"])
    client = redis.Redis.from_url(url)
    assert client.llen("host.lab1") == 0
    client.lpush("host.another", "a ring")
    for refused in (
        lambda: client.rpop("host.another"),
        lambda: client.rpop("control"),
        lambda: client.keys("*"),
        client.flushall,
        client.acl_list,
        lambda: client.config_get("*"),
    ):
        with pytest.raises(redis.exceptions.NoPermissionError):
            refused()
    redis.Redis.from_url(place.redis_url).delete("host.another")


@pytest.fixture(scope="module")
def server(place: Place) -> Iterator[Server]:
    """Return a server on the enrolled host."""
    made = boot(
        place.cloud,
        imageRef=_image(place),
        availability_zone="nova:lab1",
        name="far",
        key_name=_key_of_admin(place),
    )
    made.await_status("ACTIVE", 120)
    yield made
    made.delete()
    made.await_gone()


def _image(place: Place) -> str:
    """Return the demo image, which a cloud of fake hosts has not."""
    return demo_image.upload(place.cloud.admin, IMAGE)


def _key_of_admin(place: Place) -> str:
    public = (place.cloud.state / "demo_key.pub").read_text()
    body = {"keypair": {"name": "of-the-lab", "type": "ssh", "public_key": public}}
    place.cloud.admin.post("/compute/v2.1/os-keypairs", body)
    return "of-the-lab"


def test_a_server_boots_there_and_answers_on_ssh(place: Place, server: Server) -> None:
    assert server.shown["OS-EXT-SRV-ATTR:host"] == "lab1"
    domains = place.machine.run("virsh", "-c", "qemu:///system", "list", "--uuid")
    assert server.id in domains
    key = place.machine.folder / "key"
    shutil.copy(place.cloud.state / "demo_key", key)

    def says(command: str) -> str:
        words = ["ssh", "-i", str(key), *SSH_OPTIONS, f"root@{server.address}", command]
        return place.machine.run(*words, root=False, check=False)

    until(lambda: says("hostname").strip() == "far", SSH_S, "the guest to answer on its host", every_s=1.0)
    assert server.id in says("wget -qO- http://169.254.169.254/openstack/latest/meta_data.json")


def test_a_host_with_a_guest_is_not_removed(place: Place, server: Server) -> None:
    refused = place.host("remove", "lab1", *_how(place))
    assert refused.returncode == 1 and "still has 1 servers" in refused.stderr
    assert worker_row(place, "enabled") is False, "nothing new comes meanwhile"
    assert place.host("enable", "lab1").returncode == 0
    assert server.shown["status"] == "ACTIVE"


def test_the_guest_is_stopped_started_and_deleted_by_the_host_s_own_worker(
    place: Place, server: Server
) -> None:
    server.act("os-stop")
    server.await_status("SHUTOFF", 120)
    server.act("os-start")
    server.await_status("ACTIVE", 120)
    server.delete()
    server.await_gone()
    assert place.machine.run("virsh", "-c", "qemu:///system", "list", "--all", "--uuid").strip() == ""


def test_a_removed_host_leaves_nothing(place: Place) -> None:
    done = place.host("remove", "lab1", *_how(place))
    assert done.returncode == 0, done.stdout + done.stderr
    assert worker_row(place, "id") is None
    assert place.machine.run("ls", "-d", "/opt/computecloud", check=False) == ""
    assert place.machine.run("ls", "-A", "/var/lib/computecloud").split() == ["images"], "what is mounted"
    assert list((place.cloud.state / "images").iterdir()), "the images of all hosts"
    with psycopg.connect(place.cloud.settings["DATABASE_URL"]) as connection:
        roles = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'computecloud%'"
        ).fetchall()
    assert roles == []
    users = redis.Redis.from_url(place.redis_url).acl_users()
    assert users in ([b"default"], ["default"])
    assert "python" not in place.machine.run("ps", "-eo", "args")
    assert place.cloud.doctor().returncode == 0


def _how(place: Place) -> tuple[str, ...]:
    return ("--known-hosts", str(place.lab.folder / "known_hosts"), "--identity", str(place.lab.key))
