"""What a host's worker may do in the database: by room, and the tables that are other than their room's.

It writes what steps, footprints, nodes, ports and servers are; it reads images. Users, passwords, tokens, sessions, key
pairs and the answers kept for idempotency keys it does not even see.
"""

from collections.abc import Iterator

from django.apps import apps

READ = "SELECT"
WRITE = "SELECT, INSERT, UPDATE, DELETE"
ROOMS = {
    "workers": WRITE,
    "scheduling": WRITE,
    "networking": WRITE,
    "instances": WRITE,
    "quotas": WRITE,
    "images": READ,
}
OTHERS = {
    "workers_idempotencykey": "",
    "workers_enrolment": "",
    "workers_archivedoperation": READ,
    "scheduling_decision": READ,
    "instances_flavor": READ,
    "instances_keypair": "",
    "networking_rbacpolicy": "",
}


def grants() -> Iterator[tuple[str, str]]:
    """Yield each table that a host's worker may use, with the rights on it as SQL names them."""
    for model in apps.get_models(include_auto_created=True):
        table = model._meta.db_table
        if rights := OTHERS.get(table, ROOMS.get(model._meta.app_label, "")):
            yield table, rights
