"""What every write of this room shares."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Model

from computecloud.wire.errors import Conflict, InvalidInput
from identity import selectors
from identity.models import Extensible

EXTRA_KEYS_MAX, EXTRA_KEY_MAX_CHARS, EXTRA_MAX_BYTES = 64, 255, 16 * 1_024
_WRITES_TRIED = 16


class NameTaken(Conflict):
    """Another thing has this name already (409)."""


@contextmanager
def unique(what: str, name: str) -> Iterator[None]:
    """Run a write in a transaction; raises NameTaken when a unique name is there already."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError:
        raise NameTaken(
            f"Conflict occurred attempting to store {what} - Duplicate entry: '{name}' is taken. Choose another."
        ) from None


def store(row: Model, columns: Iterable[str]) -> None:
    """Write these columns of a row that is there; raises NotFound where it was deleted meanwhile."""
    values = {column: getattr(row, column) for column in columns}
    if values and not type(row)._default_manager.filter(pk=row.pk).update(**values):
        raise selectors.missing(type(row), str(row.pk))


def checked_extra(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the owner's own keys as they may be kept; raises InvalidInput where they are too many or too long."""
    if len(extra) > EXTRA_KEYS_MAX:
        raise InvalidInput(f"There are {len(extra)} keys of your own: at most {EXTRA_KEYS_MAX} are kept.")
    if longest := next((key for key in extra if len(key) > EXTRA_KEY_MAX_CHARS), ""):
        raise InvalidInput(
            f"The key '{longest[:64]}…' is too long: at most {EXTRA_KEY_MAX_CHARS} characters."
        )
    if len(json.dumps(extra).encode()) > EXTRA_MAX_BYTES:
        raise InvalidInput(f"The keys of your own are too long: at most {EXTRA_MAX_BYTES} bytes are kept.")
    return dict(extra)


def merge_extra(row: Extensible, added: Mapping[str, Any]) -> None:
    """Add or replace the owner's own keys of a row that is there; raises InvalidInput, NotFound, Conflict.

    By compare-and-set, so that two writers do not lose each other's.
    """
    rows = type(row)._default_manager.filter(pk=row.pk)
    for _ in range(_WRITES_TRIED):
        merged = checked_extra({**row.extra, **added})
        if rows.filter(extra=row.extra).update(extra=merged):
            row.extra = merged
            return
        known = rows.values_list("extra", flat=True).first()
        if known is None:
            raise selectors.missing(type(row), str(row.pk))
        row.extra = known
    raise Conflict(f"{row} is being changed by many at once. Try again.")
