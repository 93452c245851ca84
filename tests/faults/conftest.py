"""The world of the fault tests."""

from collections.abc import Iterator

import pytest

from tests.faults import world as worlds


@pytest.fixture
def world(db: None) -> Iterator[worlds.World]:
    worlds.raze()
    yield worlds.build()
    worlds.raze()
