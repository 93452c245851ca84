"""What `host enroll` decides before it touches a machine, and what it refuses in words."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from django.apps import apps
from django.db import connection
from msgspec import structs

from computecloud.cli.app import computecloud
from computecloud.cli.enrolment import account, addresses, commands, rights, role, shipping, steps, survey
from computecloud.cli.failures import Failure
from computecloud.cli.progress import Progress
from computecloud.config import CONFIG, ROOT
from hypervisors.ssh import Target
from networking.models import HostWiring
from networking.services import spreading
from tests.scheduling.conftest import host_with  # noqa: F401 — a fixture
from workers import secrets
from workers.models import Enrolment, Footprint, Host

FACTS = survey.Facts(
    name="far",
    system="debian",
    version="12",
    architecture="x86_64",
    uid=0,
    python="3.11",
    abi=".so",
    disk_gib=100,
    memory_mib=8_000,
    systemd=True,
    kvm=True,
    skew_s=0.1,
)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("far", Target("root", "far")),
        ("admin@far.example", Target("admin", "far.example")),
        ("admin@10.0.0.2:2222", Target("admin", "10.0.0.2", 2222)),
        ("root@fd00::2", Target("root", "fd00::2")),
    ],
)
def test_a_machine_is_named_as_ssh_names_it(text: str, target: Target):
    assert commands.target_of(text, None) == target


@pytest.mark.parametrize(
    "text", ["", "root@", "root@far:0", "root@far:99999", "root@far:x", "-oProxyCommand=x"]
)
def test_what_names_no_machine_is_refused(text: str):
    with pytest.raises(Failure, match="names no machine"):
        commands.target_of(text, None)


def test_an_address_is_told_as_the_other_machine_must_name_it():
    place = addresses.elsewhere(
        "postgresql://u:p@db:5433/cloud?sslmode=require", "", what="database", option="--x"
    )
    assert (place.host, place.port) == ("db", 5433)
    assert (
        place.as_user("role", "p@ss/word") == "postgresql://role:p%40ss%2Fword@db:5433/cloud?sslmode=require"
    )
    moved = addresses.elsewhere("redis://:p@127.0.0.1:7000/1", "10.0.0.1", what="broker", option="--x")
    assert moved.as_user("u", "q") == "redis://u:q@10.0.0.1:7000/1"
    socket = addresses.elsewhere(
        "postgresql://u@/cloud?host=/run/pg", "db:6000", what="database", option="--x"
    )
    assert socket.as_user("r", "q") == "postgresql://r:q@db:6000/cloud"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@/cloud?host=/run/postgresql",
        "postgresql://u:p@localhost/cloud",
        "redis://127.0.0.1:6379/0",
        "redis+socket:///run/redis.sock",
        "http://0.0.0.0:8774",
        "amqp://u:p@[::1]//",
    ],
)
def test_an_address_that_only_this_machine_reaches_is_refused_with_the_option_that_helps(url: str):
    with pytest.raises(Failure, match="no other machine reaches it") as caught:
        addresses.elsewhere(url, "", what="thing", option="--thing-at")
    assert "--thing-at" in caught.value.advice


def test_certificates_that_an_address_names_go_along(tmp_path: Path):
    (tmp_path / "ca.pem").write_text("a certificate")
    url = f"postgresql://u:p@db/cloud?sslmode=verify-full&sslrootcert={tmp_path}/ca.pem"
    place = addresses.elsewhere(url, "", what="database", option="--x")
    there = f"{addresses.FILES}/ca.pem"
    assert place.files == {there: tmp_path / "ca.pem"}
    assert f"sslrootcert={there}" in place.url and str(tmp_path) not in place.url


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"uid": 1000}, "sudo without a password"),
        ({"system": "fedora"}, "not Debian 12"),
        ({"version": "11"}, "not Debian 12"),
        ({"architecture": "riscv64"}, "architecture riscv64"),
        ({"python": "3.9"}, "Python is 3.9"),
        ({"disk_gib": 1}, "1 GiB are free"),
        ({"skew_s": -42.0}, "differs from ours by -42 s"),
    ],
)
def test_a_machine_that_will_not_do_is_refused_in_words(changed: dict, words: str):
    with pytest.raises(Failure, match="cannot be a host") as caught:
        survey.require_fit(dataclasses.replace(FACTS, **changed))
    assert words in caught.value.message


def test_a_machine_that_will_do_is_taken_also_without_kvm_or_python():
    for changed in ({}, {"kvm": False}, {"python": "", "abi": ""}, {"version": ""}, {"skew_s": 4.0}):
        survey.require_fit(dataclasses.replace(FACTS, **changed))


def test_all_that_is_wrong_is_said_at_once():
    assert len(survey.obstacles(dataclasses.replace(FACTS, uid=1, disk_gib=0, python="3.8"))) == 3


@pytest.mark.django_db
def test_without_postgresql_a_host_elsewhere_is_refused_in_words():
    Path(CONFIG.state, "settings.env").touch()
    if connection.vendor == "postgresql":
        pytest.skip("this run has it")
    refused = CliRunner().invoke(computecloud, ["host", "enroll", "root@far"])
    assert refused.exit_code == 1
    assert "needs PostgreSQL" in refused.output and "COMPUTECLOUD_DATABASE_URL" in refused.output


def test_a_worker_elsewhere_sees_no_users_keys_or_sessions():
    granted = dict(rights.grants())
    hidden = {
        "identity_user",
        "identity_roleassignment",
        "instances_keypair",
        "django_session",
        "workers_enrolment",
    }
    assert hidden & set(granted) == set()
    assert granted["images_image"] == rights.READ and granted["workers_operation"] == rights.WRITE
    known = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    assert set(rights.OTHERS) <= known, "a table that is no more"


def test_its_role_s_name_fits_and_is_its_own():
    assert role.name_of("far") == "computecloud_host_far"
    long = [role.name_of("x" * 200 + end) for end in "ab"]
    assert len(set(long)) == 2 and max(map(len, long)) <= role.NAME_MAX


def test_what_is_shipped_runs_by_itself(tmp_path: Path):
    names = {str(path.relative_to(ROOT)) for path in shipping.code()}
    assert {"computecloud/__main__.py", "requirements.txt", "bin/prepare.sh", "bin/packages.txt"} <= names
    assert not [
        name for name in names if name.startswith(("tests/", "var/", ".git")) or name.endswith(".env")
    ]
    with (tmp_path / "tar").open("wb") as archive:
        shipping.pack(archive, ((path, str(path.relative_to(ROOT))) for path in shipping.code()))
    subprocess.run(["tar", "-xf", str(tmp_path / "tar"), "-C", str(tmp_path)], check=True)
    said = subprocess.run(
        [sys.executable, "-m", "computecloud", "here", "--help"],
        cwd=tmp_path,
        env={"PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "enrolled in a cloud elsewhere" in said.stdout


def test_secret_parameters_are_read_with_the_key_alone(monkeypatch: pytest.MonkeyPatch, settings):
    from workers import secrets as module

    key = secrets.key()
    settings.SECRET_KEY = "another machine's own"
    assert secrets.key() != key
    monkeypatch.setattr(module, "CONFIG", structs.replace(CONFIG, operation_key=key))
    assert secrets.key() == key


@pytest.mark.django_db
def test_a_host_that_has_something_is_not_removed_but_takes_nothing_new(host_with):  # noqa: F811
    host = host_with("far")
    options = {"broker_url": "memory://", "rabbitmqctl": "false", "progress": Progress()}
    with pytest.raises(Failure, match="was not enrolled"):
        steps.remove("far", None, **options)
    Enrolment.objects.create(host="far", machine="m", user="root", fingerprint="f", database_role="r")
    Footprint.objects.create(
        subject_id=host.id, operation_id=host.id, step="s", kind="disks", host="far", name="n"
    )
    with pytest.raises(Failure, match="still has 1 footprints"):
        steps.remove("far", None, **options)
    host.refresh_from_db()
    assert not host.enabled and Enrolment.objects.filter(host="far").exists()


@pytest.mark.django_db
def test_forgetting_a_host_leaves_no_row_of_it(host_with):  # noqa: F811
    host_with("far")
    Enrolment.objects.create(host="far", machine="m", user="root", fingerprint="f", database_role="r")
    spreading.host_is_at("far", "192.0.2.7")
    steps.forget("far")
    assert not Host.objects.filter(name="far").exists() and not Enrolment.objects.exists()
    assert not HostWiring.objects.exists()


@pytest.mark.parametrize("text", ["far", "192.0.2", "fd00::2", "192.0.2.1; true"])
def test_what_is_no_address_for_guests_traffic_is_refused_in_words(text: str):
    with pytest.raises(Failure, match="is no IPv4 address"):
        commands._ipv4(text)


def test_rabbitmq_that_cannot_be_administered_from_here_is_told_in_words():
    with pytest.raises(Failure, match="does not make the worker's user") as caught:
        account.make("amqp://u:p@broker//", "far", "secret", rabbitmqctl="false")
    assert "--rabbitmqctl" in caught.value.advice
    with pytest.raises(Failure):
        account.make("amqp://u:p@broker//", "far", "secret", rabbitmqctl="no-such-command")


def test_what_is_copied_is_what_is_pinned_for_a_python_like_this_one():
    folders = {name.partition("/")[0] for _, name in shipping._installed()}
    assert {"redis", "celery", "django"} <= folders
    assert ("async_timeout" in folders) == (sys.version_info < (3, 11, 3))
