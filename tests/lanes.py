"""Which tests run side by side: those of one lane take turns, and no lane disturbs another.

A plugin of pytest (`-p tests.lanes` in pyproject.toml) for `bin/test guest` and `bin/test cloud`: on a slow machine a
guest that boots leaves the second core with nothing to do. A lane is a folder of tests; the tests of clouds with real
guests are one more, so that they share one. They have `_real_` in their names.
"""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

OPTION = "--lanes"
REAL = "_real_"


class Lanes(LoadScopeScheduling):
    """Gives each process a lane, and the next one to whichever has ended its own."""

    def _split_scope(self, nodeid: str) -> str:
        return REAL if REAL in nodeid else nodeid.split("/")[1]


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
