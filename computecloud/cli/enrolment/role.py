"""The PostgreSQL role of a host's worker: made, given its rights and no others, and dropped."""

import hashlib
from typing import Any

from django.db import connection, transaction
from psycopg import sql

from computecloud.cli.enrolment import rights
from computecloud.cli.failures import Failure

NAME_MAX = 63
CONNECTIONS_MAX = 32


def name_of(host: str) -> str:
    """Return the name of a host's role: the same for the same host."""
    name = f"computecloud_host_{host}"
    return name if len(name) <= NAME_MAX else f"{name[:46]}_{hashlib.sha256(host.encode()).hexdigest()[:16]}"


def require_postgresql() -> None:
    """Raise Failure where the database cannot be shared, or where we may make no roles in it."""
    if connection.vendor != "postgresql":
        raise Failure(
            "a host on another machine needs PostgreSQL: this cloud's database is a SQLite file on this machine",
            advice="set COMPUTECLOUD_DATABASE_URL=postgresql://… when the cloud is made; see docs/operating.md",
        )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolcreaterole OR rolsuper, current_user FROM pg_roles WHERE rolname = current_user"
        )
        may, who = cursor.fetchone()
    if not may:
        raise Failure(
            f"{who} may not make the role of the host's worker in the database",
            advice=f'as a superuser: ALTER ROLE "{who}" CREATEROLE; or give --database-admin with such an address',
        )


def make(name: str, password: str) -> bool:
    """Have the role be there with this password and its rights alone; returns whether it was new."""
    role = sql.Identifier(name)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
        is_new = cursor.fetchone() is None
        if is_new:
            cursor.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(role))
        cursor.execute(
            sql.SQL(
                "ALTER ROLE {} LOGIN NOCREATEDB NOCREATEROLE NOINHERIT CONNECTION LIMIT {} PASSWORD {}"
            ).format(role, sql.Literal(CONNECTIONS_MAX), sql.Literal(_verifier(name, password)))
        )
        _grant_all(cursor, role)
    return is_new


def grant_again(name: str) -> None:
    """Give a role its rights on tables that were made anew; one that is not there is made by enrolling again."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
        if cursor.fetchone():
            _grant_all(cursor, sql.Identifier(name))


def drop(name: str) -> bool:
    """Drop the role with its rights; False where there is none."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
        if cursor.fetchone() is None:
            return False
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [name])
        role = sql.Identifier(name)
        for kind in ("TABLES", "SEQUENCES"):
            cursor.execute(
                sql.SQL("REVOKE ALL ON ALL {} IN SCHEMA public FROM {}").format(sql.SQL(kind), role)
            )
        cursor.execute(sql.SQL("REVOKE ALL ON SCHEMA public FROM {}").format(role))
        cursor.execute(sql.SQL("DROP ROLE {}").format(role))
    return True


def _grant_all(cursor: Any, role: sql.Identifier) -> None:
    """Give a role the rights of a host's worker, and no others."""
    cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(role))
    for kind in ("TABLES", "SEQUENCES"):
        cursor.execute(sql.SQL("REVOKE ALL ON ALL {} IN SCHEMA public FROM {}").format(sql.SQL(kind), role))
    for table, granted in rights.grants():
        _grant(cursor, table, granted, role)


def _grant(cursor: Any, table: str, granted: str, role: sql.Identifier) -> None:
    words = sql.SQL("GRANT {} ON {} TO {}")
    cursor.execute(words.format(sql.SQL(granted), sql.Identifier(table), role))
    if "INSERT" not in granted:
        return
    cursor.execute(
        "SELECT s.relname FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.deptype IN ('a', 'i')"
        " JOIN pg_class t ON t.oid = d.refobjid WHERE s.relkind = 'S' AND t.relname = %s",
        [table],
    )
    for (sequence,) in cursor.fetchall():
        allow = sql.SQL("GRANT USAGE ON SEQUENCE {} TO {}")
        cursor.execute(allow.format(sql.Identifier(sequence), role))


def _verifier(name: str, password: str) -> str:
    """Return what the server keeps of the password: so the password itself is in no statement and no log of it."""
    connection.ensure_connection()
    raw: Any = connection.connection
    made: bytes = raw.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    return made.decode()
