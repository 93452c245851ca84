"""The words of a message, and what becomes of one that this version does not understand.

A step's message says (operation id, direction, cursor) and no more. It needs no epoch: whoever takes the step compares
the subject's in the ledger, so a message from before an overtaking finds no row. A message of a newer form is dropped
with a line in the log; nothing is lost, for the ledger says what is due and the sweeper rings again. So a new form is
understood by one release before the next one sends it: docs/engine.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog
from celery import Task
from celery.exceptions import Ignore

from workers.ledger import DO, UNDO

log = structlog.get_logger()

Step = tuple[UUID, str, int]


def of_step(operation_id: UUID, direction: str, cursor: int) -> tuple[str, str, int]:
    """Return the words of a step's message."""
    return operation_id.hex, direction, cursor


def read_step(words: Sequence[Any], named: Mapping[str, Any]) -> Step | None:
    """Return what a step's message says; None, and a line in the log, where it says what we do not know."""
    try:
        operation_id, direction, cursor = words
        if direction in (DO, UNDO) and type(cursor) is int and not named:
            return UUID(operation_id), direction, cursor
    except (TypeError, ValueError, AttributeError):
        pass
    log.warning("message.not_understood", task="step", words=repr(words)[:500], named=repr(named)[:500])
    return None


class Known(Task):  # type: ignore[type-arg]
    """A task that drops a message whose words are not those that it takes."""

    abstract = True

    def __call__(self, *words: Any, **named: Any) -> Any:
        """Run, or drop the message with a line in the log."""
        try:
            self.__header__(*words, **named)  # type: ignore[attr-defined]
        except TypeError:
            log.warning(
                "message.not_understood", task=self.name, words=repr(words)[:500], named=repr(named)[:500]
            )
            raise Ignore from None
        return super().__call__(*words, **named)
