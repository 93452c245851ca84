"""computecloud restore: brings a backup back, and sees that nothing which runs since then is taken for rubbish.

Between the backup and now the world went on: guests were made that the database does not know, others are gone, and
every guest may have been touched under a higher epoch. So every epoch is raised far above what it was, and until an
operator says `--settled`, doctor lists what it finds and mends nothing.
"""

import json
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import click

from computecloud.cli import backup, database
from computecloud.cli.failures import Failure
from computecloud.cli.installation import Installation, find, write_private
from computecloud.cli.progress import Progress
from computecloud.cli.supervisor import Supervisor

EPOCHS = 2**20  # more than any subject was touched since the backup
AFTER = (
    "Now: start the cloud; on every host run bin/computecloud doctor, which lists guests and disks that the backup "
    "does not know, and servers whose guests are gone. Save or remove what it lists, then: "
    "bin/computecloud restore --settled"
)


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--over", is_flag=True, help="Replace the cloud that is there.")
@click.option(
    "--settled", is_flag=True, help="What was found after a restore is dealt with: doctor mends again."
)
@click.option("--state-dir", type=click.Path(), help="The installation's state folder.")
def command(file: Path | None, over: bool, settled: bool, state_dir: str | None) -> None:
    """Bring the backup FILE back. The cloud must be stopped on every machine; its guests may run."""
    installation, progress = find(state_dir), Progress()
    if settled:
        _settle(installation)
        click.echo("doctor mends again")
        return
    if file is None or not file.is_file():
        raise Failure(f"there is no backup {file or ''}".strip(), advice="name the file that backup wrote")
    if Supervisor(installation).processes():
        raise Failure("the cloud runs", advice="bin/down first, and stop its workers on other machines")
    installation.state.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=installation.state, prefix=".restore-") as folder:
        with progress.step("Check the backup") as step:
            manifest = unpack(file, Path(folder))
            step.note = f"taken at {manifest['taken_at']}"
        bring_back(installation, Path(folder), manifest, progress, over=over)
    progress.say(AFTER)


def unpack(file: Path, to: Path) -> dict[str, Any]:
    """Unpack a backup and return its manifest; raises Failure where it is not whole, or none of ours."""
    try:
        with tarfile.open(file) as tar:
            for member in tar:
                _extract(tar, member, to)
        manifest: dict[str, Any] = json.loads((to / backup.MANIFEST).read_text())
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise Failure(f"{file} is no backup, or not whole: {error}", advice="take another one") from None
    if manifest.get("format") != backup.FORMAT:
        raise Failure(
            f"{file} is of form {manifest.get('format')}, not {backup.FORMAT}", advice="use its version"
        )
    for name, digest in manifest["sha256"].items():
        path = to / name
        if not path.is_file() or backup.digest(path) != digest:
            raise Failure(f"{name} in {file} is damaged", advice="take another backup")
    return manifest


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, to: Path) -> None:
    """Write one file below a folder; raises ValueError for what leads out of it, or is no plain file."""
    if member.isdir():
        return
    path = to / member.name
    content = tar.extractfile(member)
    if content is None or not member.isreg() or ".." in path.parts or not path.is_relative_to(to):
        raise ValueError(f"{member.name!r} has no place in it")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        shutil.copyfileobj(content, file)


def bring_back(
    installation: Installation, parts: Path, manifest: dict[str, Any], progress: Progress, *, over: bool
) -> None:
    """Put the parts in their places; raises Failure before anything is changed where they do not belong here."""
    there = installation.settings_file.exists() or (installation.state / "computecloud.sqlite3").exists()
    if there and not over:
        raise Failure(f"there is a cloud in {installation.state}", advice="add --over to replace it")
    given = Installation(parts) if (parts / installation.settings_file.name).exists() else installation
    settings = {**given.settings(), "STATE_DIR": str(installation.state)}
    url = settings.get("DATABASE_URL", "")
    kind = "postgresql" if url else "sqlite"
    if kind != manifest["database"]:
        raise Failure(
            f"the backup is of {manifest['database']}, and COMPUTECLOUD_DATABASE_URL says {kind}",
            advice="set COMPUTECLOUD_DATABASE_URL as it was",
        )
    installation.enter({**settings, "LOG_LEVEL": "warning"})
    database.load(installation)
    _require_known(manifest)
    for name in backup.KEYS:
        if (parts / name).is_file():
            write_private(installation.state / name, (parts / name).read_text())
    with progress.step("Database") as step:
        _load(installation, url, parts)
        database.migrate(step)
    with progress.step("Epochs"):
        _raise_epochs()
    if manifest["images"]:
        with progress.step("Images") as step:
            step.note = str(_images(installation, parts))


def _require_known(manifest: dict[str, Any]) -> None:
    """Raise Failure where the backup is of a newer version than this code."""
    from django.db.migrations.loader import MigrationLoader

    known = set(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)
    if newer := [f"{app}.{name}" for app, name in manifest["migrations"] if (app, name) not in known]:
        raise Failure(
            f"the backup is of a newer version: it has {newer[0]}", advice="restore with that version"
        )


def _load(installation: Installation, url: str, parts: Path) -> None:
    if url:
        words = [
            "--clean",
            "--if-exists",
            "--no-owner",
            "--no-privileges",
            "--exit-on-error",
            "--single-transaction",
        ]
        backup.program([*backup.postgresql("pg_restore"), *words, str(parts / backup.POSTGRESQL)], url)
        return
    final = installation.state / "computecloud.sqlite3"
    for suffix in ("-wal", "-shm"):
        final.with_name(final.name + suffix).unlink(missing_ok=True)
    shutil.move(parts / backup.SQLITE, final)


def _raise_epochs() -> None:
    """Have every epoch be above what anybody has seen since; the accounts of enrolled hosts get their rights again."""
    from django.db import connection, transaction
    from django.db.models import F

    from computecloud.cli.enrolment import role
    from workers import pulse
    from workers.models import Enrolment, Host, Subject, SubjectLock

    with transaction.atomic():
        for model in (Subject, SubjectLock, Host):
            model._default_manager.update(epoch=F("epoch") + EPOCHS)
        pulse.note(pulse.RESTORED)
    if connection.vendor == "postgresql":
        for enrolment in Enrolment.objects.all():
            role.grant_again(enrolment.database_role)


def _images(installation: Installation, parts: Path) -> int:
    """Put the images' bytes back that are not there; returns how many."""
    (installation.state / backup.IMAGES).mkdir(exist_ok=True)
    missing = [
        path
        for path in (parts / backup.IMAGES).glob("*")
        if not (installation.state / backup.IMAGES / path.name).exists()
    ]
    for path in missing:
        shutil.move(path, installation.state / backup.IMAGES / path.name)
    return len(missing)


def _settle(installation: Installation) -> None:
    if not installation.settings_file.exists():
        raise Failure(f"there is no cloud in {installation.state}", advice="run bin/up")
    installation.enter(installation.settings())
    database.load(installation)
    from workers import pulse

    pulse.forget(pulse.RESTORED)
