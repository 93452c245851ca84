"""computecloud backup: database, settings, keys and, if asked for, images, in one file that its owner alone reads.

The cloud may run meanwhile: the database is copied as of one moment. The file is a tar, whose manifest.json says of
what version and database it is, and the digest of every other part.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import click

from computecloud.cli import database
from computecloud.cli.failures import Failure
from computecloud.cli.installation import Installation, enter_existing
from computecloud.cli.progress import Progress

FORMAT = 1
MANIFEST, SQLITE, POSTGRESQL, IMAGES = "manifest.json", "database.sqlite3", "database.dump", "images"
KEYS = ("settings.env", "passwords.txt", "demo_key", "demo_key.pub", "clouds.yaml", "hello.json")


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--images", is_flag=True, help="The bytes of images too.")
@click.option(
    "--keys/--no-keys",
    default=True,
    help="Settings, keys and passwords too; without them no secret is in it.",
)
@click.option("--state-dir", type=click.Path(), help="The installation's state folder.")
def command(file: Path, images: bool, keys: bool, state_dir: str | None) -> None:
    """Write a backup into FILE, which must not be there yet. The cloud may run meanwhile."""
    if file.exists():
        raise Failure(f"{file} is there already", advice="name another file")
    installation, settings = enter_existing(state_dir)
    database.load(installation)
    progress = Progress()
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".backup-") as folder:
        parts = Path(folder)
        with progress.step("Database") as step:
            kind, name = dump(installation, settings.get("DATABASE_URL", ""), parts)
            step.note = f"{kind}, {(parts / name).stat().st_size / 1e6:.1f} MB"
        sources = {name: parts / name}
        if keys:
            sources |= {one: path for one in KEYS if (path := installation.state / one).is_file()}
        if images:
            found = (installation.state / IMAGES).glob("[!.]*")
            sources |= {f"{IMAGES}/{path.name}": path for path in sorted(found) if path.is_file()}
        with progress.step("Write the file") as step:
            write(file, sources, {"database": kind, "images": images, "keys": keys})
            step.note = f"{file}, {file.stat().st_size / 1e6:.1f} MB"


def dump(installation: Installation, url: str, to: Path) -> tuple[str, str]:
    """Copy the database as of one moment; returns what it is and the copy's name. Raises Failure."""
    if url:
        program(
            [*postgresql("pg_dump"), "--format=custom", "--no-owner", "--no-privileges"], url, to / POSTGRESQL
        )
        return "postgresql", POSTGRESQL
    source = sqlite3.connect(
        f"file:{installation.state / 'computecloud.sqlite3'}?mode=ro", uri=True, timeout=60
    )
    copy = sqlite3.connect(to / SQLITE)
    try:
        source.backup(copy)
    except sqlite3.Error as error:
        raise Failure(
            f"the database could not be copied: {error}", advice="see that the disk is not full"
        ) from None
    finally:
        copy.close()
        source.close()
    return "sqlite", SQLITE


def write(file: Path, sources: dict[str, Path], facts: dict[str, Any]) -> None:
    """Write the tar, for its owner alone, whole or not at all."""
    from django.db.migrations.recorder import MigrationRecorder

    rows = MigrationRecorder.Migration.objects.order_by("app", "name").values_list("app", "name")
    manifest = {
        "format": FORMAT,
        "taken_at": datetime.now(UTC).isoformat(),
        **facts,
        "migrations": [list(row) for row in rows],
        "sha256": {name: digest(path) for name, path in sources.items()},
    }
    part = file.with_name(f".{file.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with (
            os.fdopen(descriptor, "wb") as output,
            tarfile.open(fileobj=output, mode="w:gz", compresslevel=3) as tar,
        ):
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / MANIFEST).write_text(json.dumps(manifest, indent=1))
                tar.add(Path(folder) / MANIFEST, MANIFEST)
            for name, path in sources.items():
                tar.add(path, name)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def digest(path: Path) -> str:
    """Return a file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def postgresql(name: str) -> list[str]:
    """Return the newest of PostgreSQL's programs of this name; raises Failure where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    path = str(found[-1]) if found else shutil.which(name)
    if path is None:
        raise Failure(f"{name} is not installed", advice="apt-get install postgresql-client")
    return [path]


def program(words: list[str], url: str, output: Path | None = None) -> None:
    """Run one of PostgreSQL's programs on a database; the password goes by the environment. Raises Failure."""
    parts = urlsplit(url)
    environment = {**os.environ, "PGPASSWORD": unquote(parts.password or "")}
    user, _, place = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    address = urlunsplit(parts._replace(netloc=f"{name}@{place}" if name else place))
    to = ["--file", str(output)] if output else []
    done = subprocess.run(
        [*words, *to, "--dbname", address], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = " ".join(done.stderr.strip().splitlines()[-2:])
        raise Failure(f"{Path(words[0]).name} failed: {said}", advice="mend that, and run this again")
