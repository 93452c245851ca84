"""How the rows look on the wire, without their links."""

from datetime import datetime
from typing import Any

from computecloud.wire.caller import Caller
from identity import catalog, selectors
from identity.models import Domain, Project, Role, User


def user(row: User) -> dict[str, Any]:
    """Return a user; never the password."""
    found: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id,
        "enabled": row.enabled,
        "password_expires_at": None,
        "options": {},
    }
    optional = {
        "email": row.email,
        "description": row.description,
        "default_project_id": row.default_project_id,
    }
    return found | {key: value for key, value in optional.items() if value}


def project(row: Project) -> dict[str, Any]:
    """Return a project."""
    return {
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id,
        "description": row.description,
        "enabled": row.enabled,
        "parent_id": row.parent_id or row.domain_id,
        "is_domain": False,
        "tags": row.tags,
        "options": {},
    }


def domain(row: Domain) -> dict[str, Any]:
    """Return a domain."""
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "enabled": row.enabled,
        "tags": [],
        "options": {},
    }


def role(row: Role) -> dict[str, Any]:
    """Return a role."""
    return {"id": row.id, "name": row.name, "domain_id": None, "description": row.description, "options": {}}


def token(caller: Caller, *, base: str | None) -> dict[str, Any]:
    """Return what a token says; with the catalog unless `base` (scheme and host of the APIs) is None."""
    ids = {caller.user_domain_id, caller.domain_id, caller.scope_domain_id or caller.domain_id}
    names = selectors.domain_names(ids)
    body: dict[str, Any] = {
        "methods": list(caller.methods),
        "user": {
            "id": caller.user_id,
            "name": caller.user_name,
            "domain": _named(caller.user_domain_id, names),
            "password_expires_at": None,
        },
        "audit_ids": [audit_id for audit_id in (caller.audit_id, caller.parent_audit_id) if audit_id],
        "issued_at": _moment(caller.issued_at),
        "expires_at": _moment(caller.expires_at),
    }
    if caller.project_id is not None:
        body["project"] = {
            "id": caller.project_id,
            "name": caller.project_name,
            "domain": _named(caller.domain_id, names),
        }
        body["is_domain"] = False
    elif caller.scope_domain_id is not None:
        body["domain"] = _named(caller.scope_domain_id, names)
    if caller.project_id is not None or caller.scope_domain_id is not None:
        body["roles"] = selectors.roles_named(caller.roles)
        if base is not None:
            body["catalog"] = catalog.catalog(base)
    return body


def _named(domain_id: str, names: dict[str, str]) -> dict[str, str]:
    return {"id": domain_id, "name": names.get(domain_id, domain_id)}


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
