"""Which tests run side by side: those of one lane take turns, and no lane disturbs another.

A plugin of pytest (`-p tests.lanes` in pyproject.toml) for `bin/test guest`, `cloud` and `faults`: a guest that
boots, and a fault that is waited for, leave the second core with nothing to do. A lane is a folder of tests; the
tests of clouds with real guests are one more, so that they share one. They have `_real_` in their names. Faults are
aimed at clouds of their own: a lane is a stack, for its cloud lives for all tests of it, or else a file.
"""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

OPTION = "--lanes"
REAL = "_real_"
FAULTS = "tests/faults/real/"
STACKS = ("sqlite+redis", "postgresql+rabbitmq")


class Lanes(LoadScopeScheduling):
    """Gives each process a lane, and the next one to whichever has ended its own."""

    def _split_scope(self, nodeid: str) -> str:
        return lane_of(nodeid)


def lane_of(nodeid: str) -> str:
    """Return the lane of a test by its name."""
    for stack in STACKS:
        if f"[{stack}" in nodeid:
            return stack
    file = nodeid.partition("::")[0]
    if file.startswith(FAULTS):
        return file
    return REAL if REAL in nodeid else file.split("/")[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption(
        OPTION, action="store_true", help="with -n: run the folders of tests side by side, in turns within"
    )


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes | None:
    """Have lanes where they are asked for."""
    return Lanes(config, log) if config.getoption(OPTION) else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Refuse a test of a real cloud whose name does not say so: each process would start one."""
    real = "real_cloud" in getattr(item, "fixturenames", ())
    if real and REAL not in item.nodeid and not item.get_closest_marker("faults"):  # those are run one by one
        raise pytest.UsageError(f"{item.nodeid} is of a real cloud; give it a name with {REAL}")
