"""Fixtures of the wire's tests: a small service of their own, so that no room is needed."""

from typing import Any

import pytest
from django.test import Client


@pytest.fixture(autouse=True)
def _trial_routes(settings: Any) -> None:
    """Serve the trial API in tests.wire.trial."""
    settings.ROOT_URLCONF = "tests.wire.trial"


@pytest.fixture
def client() -> Client:
    """Alice's client; server errors are answers, not exceptions."""
    return Client(raise_request_exception=False, headers={"X-Auth-Token": "alice"})


@pytest.fixture
def nobody() -> Client:
    """A client without a token."""
    return Client(raise_request_exception=False)
