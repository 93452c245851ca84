"""Which tests take turns, and which run side by side: those of one lane never meet, and no lane disturbs another.

A plugin of pytest (`-p tests.lanes` in pyproject.toml) that `bin/test guest` and `bin/test cloud` make use of, with
pytest-xdist's `--dist loadgroup`: on a slow machine a guest that boots leaves the second core with nothing to do.
"""

from pathlib import Path

import pytest

HERE = Path(__file__).parent
REAL = (
    "real_cloud",
    "guest",
)  # a cloud with real guests changes the machine's links, and is seen by its like


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups when it is asked
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test that needs the machine its lane."""
    for item in items:
        if lane := _lane(item):
            item.add_marker(pytest.mark.xdist_group(lane))


def _lane(item: pytest.Item) -> str:
    """Return the test's lane: of a cloud, whether its guests are real; of another guest test, its folder."""
    if item.get_closest_marker("cloud"):
        names = {*getattr(item, "fixturenames", ()), *(mark.name for mark in item.iter_markers())}
        return "real clouds" if names & set(REAL) else "fake clouds"
    return item.path.relative_to(HERE).parts[0] if item.get_closest_marker("guest") else ""
