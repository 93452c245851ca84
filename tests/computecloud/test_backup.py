"""Backup and restore of a whole small installation, on SQLite: real files, real commands, and an old backup."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from computecloud.cli import backup, restore
from computecloud.cli.failures import Failure
from computecloud.cli.installation import ROOT, Installation

ADD_SUBJECT = """
import sys
from computecloud.cli import database
from computecloud.cli.installation import enter_existing
database.load(enter_existing()[0])
from workers.models import Subject
Subject.objects.create(id=sys.argv[1], type="toy", epoch=7)
"""


def run(state: Path, *words: str, program: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command of the installation in a state folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COMPUTECLOUD_")}
    kept.pop("DJANGO_SETTINGS_MODULE", None)
    command = (
        [sys.executable, "-c", program, *words] if program else [sys.executable, "-m", "computecloud", *words]
    )
    return subprocess.run(
        command, env={**kept, "COMPUTECLOUD_STATE_DIR": str(state), "COMPUTECLOUD_DRIVER": "fake"},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def done(state: Path, *words: str, program: str = "") -> str:
    """Run a command that is to do its work; returns what it prints."""
    result = run(state, *words, program=program)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def rows(state: Path, question: str) -> list[tuple]:
    """Return the rows that answer a question."""
    connection = sqlite3.connect(state / "computecloud.sqlite3")
    try:
        return connection.execute(question).fetchall()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return an installation's state folder with tables, users and a subject of epoch 7, and a backup beside it."""
    folder = tmp_path_factory.mktemp("backup")
    state = folder / "cloud"
    done(state, "prepare")
    done(state, str(uuid.UUID(int=1)), program=ADD_SUBJECT)
    (state / "images").mkdir()
    (state / "images" / "an-image").write_bytes(b"bytes")
    done(state, "backup", str(folder / "old.tar"), "--images")
    yield folder


def test_a_backup_is_for_its_owner_alone_and_says_what_it_is(made: Path) -> None:
    file = made / "old.tar"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as tar:
        names = set(tar.getnames())
        manifest = json.load(tar.extractfile("manifest.json"))
    assert {"database.sqlite3", "settings.env", "passwords.txt", "images/an-image"} <= names
    assert (manifest["database"], manifest["images"], manifest["keys"]) == ("sqlite", True, True)
    assert ["workers", "0001_initial"] in manifest["migrations"]
    assert [path.name for path in made.iterdir() if path.name.startswith(".")] == []


def test_without_keys_no_secret_is_in_it(made: Path) -> None:
    done(made / "cloud", "backup", str(made / "bare.tar"), "--no-keys")
    with tarfile.open(made / "bare.tar") as tar:
        assert set(tar.getnames()) == {"manifest.json", "database.sqlite3"}


def test_a_backup_overwrites_nothing(made: Path) -> None:
    refused = run(made / "cloud", "backup", str(made / "old.tar"))
    assert refused.returncode == 1 and "is there already" in refused.stderr


def test_a_new_machine_has_all_of_it_with_every_epoch_raised(made: Path) -> None:
    state = made / "new"
    assert "restore --settled" in done(state, "restore", str(made / "old.tar"))
    assert rows(state, "SELECT epoch FROM workers_subject") == [(7 + restore.EPOCHS,)]
    assert (state / "settings.env").read_text() == (made / "cloud" / "settings.env").read_text()
    assert (state / "images" / "an-image").read_bytes() == b"bytes"
    assert rows(state, "SELECT count(*) FROM identity_user") == rows(
        made / "cloud", "SELECT count(*) FROM identity_user"
    )
    assert "nothing is mended" in run(state, "doctor", "--fix").stderr
    done(state, "restore", "--settled")
    assert "nothing is mended" not in run(state, "doctor", "--fix").stderr


def test_a_cloud_that_is_there_is_replaced_only_when_that_is_said(made: Path) -> None:
    state = made / "there"
    done(state, "prepare")
    before = (state / "settings.env").read_text()
    refused = run(state, "restore", str(made / "old.tar"))
    assert refused.returncode == 1 and "--over" in refused.stderr
    assert (state / "settings.env").read_text() == before
    assert rows(state, "SELECT count(*) FROM workers_subject") == [(0,)]
    done(state, "restore", str(made / "old.tar"), "--over")
    assert rows(state, "SELECT count(*) FROM workers_subject") == [(1,)]


@pytest.mark.parametrize("harm", ["cut", "changed", "foreign", "newer"])
def test_what_is_no_whole_backup_of_ours_is_refused(made: Path, tmp_path: Path, harm: str) -> None:
    file = tmp_path / "harmed.tar"
    if harm == "cut":
        file.write_bytes((made / "old.tar").read_bytes()[:5_000])
    elif harm == "foreign":
        file.write_text("not a tar")
    else:
        with tarfile.open(made / "old.tar") as tar:
            tar.extractall(tmp_path / "parts")
        manifest = json.loads((tmp_path / "parts" / "manifest.json").read_text())
        if harm == "changed":
            (tmp_path / "parts" / "passwords.txt").write_text("admin mine\n")
        else:
            manifest["migrations"].append(["workers", "9999_of_tomorrow"])
        (tmp_path / "parts" / "manifest.json").write_text(json.dumps(manifest))
        with tarfile.open(file, "w:gz") as tar:
            tar.add(tmp_path / "parts", "")
    words = {"cut": "not whole", "changed": "damaged", "foreign": "no backup", "newer": "newer version"}
    refused = run(tmp_path / "state", "restore", str(file))
    assert refused.returncode == 1 and words[harm] in refused.stderr, refused.stderr
    assert not (tmp_path / "state" / "computecloud.sqlite3").exists()


def test_a_path_that_leads_out_of_the_backup_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("x")
    with tarfile.open(tmp_path / "evil.tar", "w:gz") as tar:
        tar.add(tmp_path / "outside", "../../outside")
    (tmp_path / "to").mkdir()
    with pytest.raises(Failure, match="no backup"):
        restore.unpack(tmp_path / "evil.tar", tmp_path / "to")


def test_the_database_is_copied_while_it_is_written(made: Path, tmp_path: Path) -> None:
    writer = sqlite3.connect(made / "cloud" / "computecloud.sqlite3", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute(
        "INSERT INTO workers_subject (id, type, epoch, deleting, sharers) VALUES ('x', 'toy', 1, 0, 0)"
    )
    try:
        kind, name = backup.dump(Installation(made / "cloud"), "", tmp_path)
        assert kind == "sqlite"
        copy = sqlite3.connect(tmp_path / name)
        assert copy.execute("SELECT count(*) FROM workers_subject WHERE id = 'x'").fetchone() == (0,)
        copy.close()
    finally:
        writer.execute("ROLLBACK")
        writer.close()
