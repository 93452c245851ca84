"""What the tests of the command line share: an installation in a folder with a short path, as sockets need."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from computecloud.cli.installation import Installation


@pytest.fixture
def installation() -> Iterator[Installation]:
    state = Path(tempfile.mkdtemp(prefix="cc-"))
    for name in ("run", "log"):
        (state / name).mkdir()
    yield Installation(state)
    shutil.rmtree(state, ignore_errors=True)


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave none of the settings that the test run itself has."""
    for name in list(os.environ):
        if name.startswith("COMPUTECLOUD_"):
            monkeypatch.delenv(name)
