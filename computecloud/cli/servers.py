"""Servers as people name them: by id or by name."""

from uuid import UUID

from computecloud.cli.failures import Failure


def server_id(text: str) -> UUID:
    """Return the id of a server by its id or name, also of one that is gone; raises Failure. It loads models."""
    from instances.models import Instance

    try:
        return UUID(text)
    except ValueError:
        found = Instance.objects.filter(name=text).order_by("deleted", "-created_at").first()
    if found is None:
        raise Failure(f"there is no server {text}", advice="bin/openstack server list shows what there is")
    return found.id
