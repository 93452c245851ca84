"""Fixtures of the wire's tests: a small service of their own, so that no room is needed."""

from typing import Any

import pytest
from django.test import Client


@pytest.fixture
def client(settings: Any) -> Client:
    """A client of the trial API in tests.wire.trial; server errors are answers, not exceptions."""
    settings.ROOT_URLCONF = "tests.wire.trial"
    return Client(raise_request_exception=False)
