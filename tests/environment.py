"""The environment of every test, set before Django reads it: a state folder of its own, the fake driver, no broker.

A plugin of pytest (`-p tests.environment` in pyproject.toml): pytest-django loads the settings before any conftest.
"""

import atexit
import os
import shutil
import tempfile

import pytest

_worker = os.environ.get("PYTEST_XDIST_WORKER")
if _worker:  # it inherits the environment that the process which started it has set
    _state = os.path.join(os.environ["COMPUTECLOUD_TEST_STATE"], _worker)
    os.makedirs(_state)
    os.environ["COMPUTECLOUD_STATE_DIR"] = _state
else:
    _state = tempfile.mkdtemp(prefix="computecloud-test-")
    atexit.register(shutil.rmtree, _state, ignore_errors=True)
    os.environ["COMPUTECLOUD_TEST_STATE"] = _state

for _name, _value in {
    "STATE_DIR": _state,
    "SECRET_KEY": "only for tests, and long enough for every signature that is made with it",
    "DRIVER": "fake",
    "BROKER_URL": "memory://",
    "HOST_NAME": "testhost",
    "FAKE_NODES": "4",
    "LOG_LEVEL": "error",
}.items():
    os.environ.setdefault(f"COMPUTECLOUD_{_name}", _value)


@pytest.fixture(autouse=True)
def _quiet_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks once a second for new signing keys and revocations, so that tests can count queries."""
    from identity import revocation, signing

    signing.assume_current()
    monkeypatch.setattr(signing, "REFRESH_S", 3_600.0)
    monkeypatch.setattr(revocation, "REFRESH_S", 3_600.0)
