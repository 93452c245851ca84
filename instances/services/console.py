"""What a guest has written to its console, asked of its host."""

from computecloud.wire.errors import Conflict
from instances.models import Instance
from workers.ask import ask


def output(instance: Instance, *, lines: int | None) -> str:
    """Return the last lines of a server's console log, all that is kept where lines is None.

    Raises Conflict where it has no guest yet, Unavailable where its host does not answer.
    """
    if instance.host is None or instance.node is None:
        raise Conflict(f"Instance {instance.id} is not ready")
    text = str(ask(instance.host, "console", {"node": instance.node, "instance_id": str(instance.id)}))
    if lines is None:
        return text
    return "\n".join(text.split("\n")[-lines:]) if lines else ""
