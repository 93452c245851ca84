"""What every test of the engine needs: an empty toy world."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction

from tests.workers import toy
from workers import acceptance
from workers.models import Operation
from workers.testing import die


@pytest.fixture(autouse=True)
def toy_world(db: None) -> Iterator[None]:
    toy.WORLD.clear()
    toy.EFFECTS.clear()
    toy.ENDED.clear()
    die()
    yield
    die()


@pytest.fixture
def accepted() -> Callable[..., Operation]:
    def accept(**params: Any) -> Operation:
        with transaction.atomic():
            return acceptance.accept(
                kind="toy", subject=("toy", uuid.uuid4()), project_id="p", user_id="u", params=params
            )

    return accept
