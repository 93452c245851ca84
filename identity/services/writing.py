"""What every write of this room shares."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError, transaction

from computecloud.wire.errors import Conflict


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
