"""SQL by hand, for the few statements that every boot runs: the ORM takes several times as long to put them together.

Who calls this writes statements that both SQLite and PostgreSQL take. Values go in as Python has them; they are given
the forms that Django's columns have.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import orjson
from django.db import connection
from django.db.models import AutoField, Field, JSONField, Model


def execute(statement: str, values: Mapping[str, Any]) -> int:
    """Run a statement with %(name)s parameters; returns how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(statement, {name: column_value(value) for name, value in values.items()})
        return int(cursor.rowcount)


def fetch(statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run a statement with %(name)s parameters; returns its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, {name: column_value(value) for name, value in values.items()})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def insert(rows: Sequence[Model], *, new_only: bool = False) -> None:
    """Insert rows of one model, keys that the database gives left out; new_only: what is there already stays.

    JSON is written as Django writes it, to the letter: SQLite compares it as text.
    """
    if not rows:
        return
    fields, statement = _insertion(type(rows[0]), len(rows), new_only)
    values = [_stored(getattr(row, field.attname), field) for row in rows for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


@cache
def _insertion(model: type[Model], count: int, new_only: bool) -> tuple[list[Field[Any, Any]], str]:
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, AutoField)]
    marks = ", ".join([f"({', '.join(['%s'] * len(fields))})"] * count)
    columns = ", ".join(f'"{field.column}"' for field in fields)
    conflict = " ON CONFLICT DO NOTHING" if new_only else ""
    statement = f"INSERT INTO {model._meta.db_table} ({columns}) VALUES {marks}{conflict}"  # noqa: S608
    return fields, statement


def _stored(value: Any, field: Field[Any, Any]) -> Any:
    if isinstance(field, JSONField) and value is not None:
        return json.dumps(value, cls=field.encoder)
    return column_value(value)


def column_value(value: Any) -> Any:
    """Return a value in the form that Django's column of its type has."""
    if isinstance(value, UUID):
        return value.hex  # SQLite keeps 32 digits; PostgreSQL reads them as a uuid
    if isinstance(value, dict):
        return orjson.dumps(value).decode()
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value


def as_uuid(value: Any) -> UUID:
    """Return what a uuid column holds."""
    return value if isinstance(value, UUID) else UUID(value)


def as_json(value: Any) -> Any:
    """Return what a JSON column holds."""
    return orjson.loads(value) if isinstance(value, str | bytes) else value
