"""Which tests are run again on another database: those whose answer could be another one there.

A plugin of pytest (`-p tests.databases` in pyproject.toml) for `bin/test postgresql`: tests that open no database are
left out of it, and so are those marked any_database, which ask the same plain questions many times over.
"""

import pytest

OPTION = "--of-databases"
OPENERS = {"db", "transactional_db"}


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
    opens = item.get_closest_marker("django_db") or OPENERS & set(getattr(item, "fixturenames", ()))
    return bool(opens) and not item.get_closest_marker("any_database")
