"""Which tests are run again on another database: those whose answer could be another one there.

A plugin of pytest (`-p tests.databases` in pyproject.toml) for `bin/test postgresql`: tests that open no database are
left out of it.
"""

import pytest

OPTION = "--of-databases"
OPENERS = {"db", "transactional_db", "django_db_setup"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption(OPTION, action="store_true", help="leave out what is the same on every database")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is the same on every database, where that is asked for."""
    if not config.getoption(OPTION):
        return
    other = [item for item in items if not _may_differ(item)]
    config.hook.pytest_deselected(items=other)
    items[:] = [item for item in items if _may_differ(item)]


def _may_differ(item: pytest.Item) -> bool:
    marked = item.get_closest_marker("django_db") is not None
    return marked or not OPENERS.isdisjoint(getattr(item, "fixturenames", ()))
