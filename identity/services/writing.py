"""What every write of this room shares."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import IntegrityError, transaction
from django.db.models import Model

from computecloud.wire.errors import Conflict
from identity import selectors


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
    if not type(row)._default_manager.filter(pk=row.pk).update(**values):
        raise selectors.missing(type(row), str(row.pk))
