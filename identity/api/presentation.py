"""How the rows look on the wire, without their links."""

from datetime import datetime
from typing import Any

from computecloud.wire.caller import Caller, Credential
from identity import catalog, selectors
from identity.models import AccessRule, ApplicationCredential, Domain, Group, Project, Role, User


def user(row: User) -> dict[str, Any]:
    """Return a user; never the password."""
    found: dict[str, Any] = {
        **row.extra,
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
        **row.extra,
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
        **row.extra,
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "enabled": row.enabled,
        "tags": [],
        "options": {},
    }


def domain_as_project(row: Domain) -> dict[str, Any]:
    """Return a domain as the project that it is too, as in Keystone."""
    return {**domain(row), "domain_id": None, "parent_id": None, "is_domain": True}


def role(row: Role) -> dict[str, Any]:
    """Return a role."""
    return {
        **row.extra,
        "id": row.id,
        "name": row.name,
        "domain_id": None,
        "description": row.description,
        "options": {},
    }


def group(row: Group) -> dict[str, Any]:
    """Return a group."""
    known = {"id": row.id, "name": row.name, "domain_id": row.domain_id, "description": row.description}
    return {**row.extra, **known}


def credential(row: ApplicationCredential, secret: str | None = None) -> dict[str, Any]:
    """Return an application credential; with its secret when it has just been made, and never again."""
    rules = [access_rule(rule) for rule in row.access_rules.all()]
    found = {
        "id": row.id,
        "name": row.name,
        "description": row.description or None,
        "user_id": row.user_id,
        "project_id": row.project_id,
        "system": None,
        "roles": [{"id": one.id, "name": one.name, "domain_id": None} for one in row.roles.all()],
        "unrestricted": row.unrestricted,
        "expires_at": _without_zone(row.expires_at) if row.expires_at else None,
    }
    if rules:
        found["access_rules"] = rules
    return found if secret is None else {**found, "secret": secret}


def access_rule(row: AccessRule) -> dict[str, Any]:
    """Return an access rule."""
    return {"id": row.id, "service": row.service, "method": row.method, "path": row.path}


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
    elif caller.is_system:
        body["system"] = {"all": True}
    if caller.credential is not None:
        body["application_credential"] = _credential_of(caller.credential)
    if caller.project_id is not None or caller.scope_domain_id is not None or caller.is_system:
        body["roles"] = selectors.roles_named(caller.roles)
        if base is not None:
            body["catalog"] = catalog.catalog(base)
    return body


def _credential_of(credential: Credential) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": credential.id,
        "name": credential.name,
        "restricted": credential.restricted,
    }
    if credential.rules is not None:
        rules = [dict(zip(("service", "method", "path"), rule, strict=True)) for rule in credential.rules]
        found["access_rules"] = rules
    return found


def _named(domain_id: str, names: dict[str, str]) -> dict[str, str]:
    return {"id": domain_id, "name": names.get(domain_id, domain_id)}


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _without_zone(moment: datetime) -> str:
    """Return a moment as Keystone writes those of application credentials: UTC, and does not say so."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")
