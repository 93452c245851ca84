"""A cloud's database asked from outside: by SQLite or psycopg, without the project."""

import shlex
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

TIMEOUT_S = 30
URL = "COMPUTECLOUD_DATABASE_URL="


def url(state: Path) -> str:
    """Return the address of the cloud's PostgreSQL; empty where it has SQLite."""
    words = shlex.split((state / "settings.env").read_text(), comments=True)
    return next((word.removeprefix(URL) for word in words if word.startswith(URL)), "")


def ask(state: Path, question: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return the rows that answer a question; each `?` stands for a value, a uuid as its digits alone."""
    if address := url(state):
        with psycopg.connect(address, connect_timeout=TIMEOUT_S, autocommit=True) as connection:
            return list(connection.execute(question.replace("?", "%s").encode(), values))
    return ask_file(state / "computecloud.sqlite3", question, *values)


def ask_file(file: Path, question: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return the rows that answer a question to a SQLite file."""
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=TIMEOUT_S)
    try:
        return list(connection.execute(question, values))
    finally:
        connection.close()


def can_be_written(state: Path) -> bool:
    """Tell whether nobody keeps the cloud's SQLite file locked for a second."""
    connection = sqlite3.connect(state / "computecloud.sqlite3", timeout=1, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


def seconds(moment: datetime | str) -> float:
    """Return a moment of a row, as seconds since 1970."""
    if isinstance(moment, datetime):
        return moment.timestamp()
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
