"""The database of an installation: its tables, and what it begins with, made through the rooms' own services.

These are the only functions of the command line that load Django; call Installation.enter before them.
"""

import os
from typing import Any

from computecloud.cli.failures import Failure
from computecloud.cli.installation import Installation
from computecloud.cli.progress import Step

FLAVORS = (  # id, name, processors, memory in MiB, disk in GiB
    ("42", "m1.nano", 1, 128, 1),
    ("1", "m1.tiny", 1, 512, 1),
    ("2", "m1.small", 1, 2_048, 20),
    ("3", "m1.medium", 2, 4_096, 40),
    ("4", "m1.large", 4, 8_192, 80),
    ("5", "m1.xlarge", 8, 16_384, 160),
)


def load(installation: Installation) -> None:
    """Load Django; raises Failure where the settings are wrong."""
    import django
    import msgspec

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "computecloud.settings")
    try:
        django.setup()
    except msgspec.ValidationError as error:
        raise Failure(
            f"a setting is wrong: {error}",
            advice=f"correct the environment variable, or the line in {installation.settings_file}",
        ) from None


def migrate(step: Step) -> None:
    """Make or change the tables, and collect the admin's static files; raises Failure where the database is away."""
    from django.core.management import call_command
    from django.db import OperationalError, connection

    try:
        with connection.cursor():
            pass
        step.tell("tables")
        call_command("migrate", interactive=False, verbosity=0)
    except OperationalError as error:
        raise Failure(
            f"the database cannot be used: {error}",
            advice="check COMPUTECLOUD_DATABASE_URL, that its server runs, and that the disk is not full",
        ) from None
    step.note = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(connection.vendor, connection.vendor)
    step.tell("static files")
    call_command("collectstatic", interactive=False, verbosity=0)


def bootstrap(*, admin_password: str, demo_password: str) -> bool:
    """Make users, projects, the public network, flavors and the groups of operators; returns whether any was made."""
    import networking.services
    import quotas.services
    from computecloud.pages import roles
    from identity.services.bootstrap import bootstrap as bootstrap_identity

    made = bootstrap_identity(admin_password=admin_password, demo_password=demo_password)
    if made.changed:
        quotas.services.unlimit(made.admin_project_id)
    networking.services.bootstrap(project_id=made.admin_project_id)
    for project_id in (made.admin_project_id, made.demo_project_id):
        networking.services.let_in(project_id)
    granted = roles.ensure()
    return _make_flavors() or granted or bool(made.changed)


def _make_flavors() -> bool:
    """Make the flavors where there is none at all: one that an administrator removed stays away."""
    from instances.models import Flavor
    from instances.services import flavors

    if Flavor.objects.exists():
        return False
    for flavorid, name, vcpus, ram, disk in FLAVORS:
        flavors.create(flavors.NewFlavor(flavorid=flavorid, name=name, vcpus=vcpus, ram=ram, disk=disk))
    return True


def known_servers() -> set[str]:
    """Return the ids of all servers in the database; none where it has no tables yet."""
    from django.db import DatabaseError

    from instances.models import Instance

    try:
        return {str(pk) for pk in Instance.objects.values_list("id", flat=True)}
    except DatabaseError:
        return set()


def forget_beat() -> None:
    """Forget when beat was heard last: not since all was started."""
    from workers import pulse

    pulse.forget(pulse.BEAT)


def close() -> None:
    """Let go of the database, so that a process that waits for minutes holds nothing open."""
    from django.db import connections

    pools: Any = connections
    pools.close_all()
