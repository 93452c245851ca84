"""Has what failed asked for once more: the room that an operation's subject belongs to begins it anew."""

from collections.abc import Callable

from computecloud.wire.errors import Conflict
from workers.models import Operation, State

AskAgain = Callable[[Operation, str], None]
_by_subject: dict[str, AskAgain] = {}


class CannotAskAgain(Conflict):
    """The operation did not fail, or is of a kind that is not begun anew."""


def register(subject_type: str, ask_again: AskAgain) -> None:
    """Have a room ask again for failed operations on its subjects; it is given the operation, and who asks."""
    _by_subject[subject_type] = ask_again


def ask(operation: Operation, *, by: str) -> Operation:
    """Ask for what failed once more, and return the new operation; raises CannotAskAgain, and as the room does."""
    named = f"Operation {operation.id} ({operation.kind})"
    if operation.state != State.FAILED:
        raise CannotAskAgain(f"{named} did not fail: it is {operation.state}.")
    if operation.subject_type not in _by_subject:
        raise CannotAskAgain(f"{named} is not begun anew. Ask for the same once more instead.")
    _by_subject[operation.subject_type](operation, by)
    newest = Operation.objects.filter(subject_id=operation.subject_id, kind=operation.kind)
    return newest.order_by("-created_at")[0]
