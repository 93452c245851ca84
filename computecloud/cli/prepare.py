"""computecloud prepare: the database for processes that another supervisor runs; `up` does the same by itself."""

import os

import click

from computecloud.cli import credentials, database
from computecloud.cli.connect import base_url
from computecloud.cli.installation import find
from computecloud.cli.progress import Progress
from computecloud.cli.up import DEFAULTS, FOLDERS


@click.command("prepare")
def command() -> None:
    """Make or change the tables, the first users, networks and flavors; run again, it changes nothing."""
    installation = find()
    settings = {**DEFAULTS, **installation.settings()}
    settings["SECRET_KEY"] = credentials.secret_key(settings)
    os.umask(0o077)
    for name in FOLDERS:
        (installation.state / name).mkdir(parents=True, exist_ok=True)
    installation.write_settings(settings)
    installation.enter({**settings, "LOG_LEVEL": "warning"})
    with Progress().step("Database") as step:
        database.load(installation)
        database.migrate(step)
        known = credentials.passwords(installation)
        database.bootstrap(admin_password=known.admin, demo_password=known.demo)
    authority = settings.get("WEB_TLS_AUTHORITY", "")
    credentials.write_clouds(installation, base_url(settings), settings["REGION"], authority=authority)
