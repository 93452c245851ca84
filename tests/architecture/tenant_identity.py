"""Bodies of the Identity API, in the words of tenant_templates."""

from collections.abc import Callable, Mapping
from typing import Any

from computecloud.wire.services import IDENTITY
from identity.api import serializers as identity
from tests.architecture.tenant_templates import Slot, Template, free, never, ref, template, word
from tests.architecture.tenant_world import Tenant

_TEXTS = {"name": free("server_name"), "description": free("server_name"), "options/word": never()}
_USER = {
    **_TEXTS,
    "name": free("user_name"),
    "domain_id": ref("domain"),
    "default_project_id": ref("project"),
    "email": Slot("=somebody@example.com"),
    "password": free("server_name"),
}
_OTHER_USER = _USER | {"id": ref("other_user")}
_PROJECT = {
    **_TEXTS,
    "name": free("project_name"),
    "domain_id": ref("domain"),
    "parent_id": ref("domain"),
    "tags/0": free("project_tag"),
}
_GROUP = {**_TEXTS, "name": free("group_name"), "domain_id": ref("domain")}
_CREDENTIAL = {
    "name": free("credential_name"),
    "description": free("server_name"),
    "secret": free("server_name"),
    "roles/0/id": ref("cloud_role"),
    "roles/0/name": word("member"),
    "project_id": ref("project"),
    "access_rules/0/service": free(
        "server_name", **{"access_rules/0/method": "GET", "access_rules/0/path": "/a"}
    ),
    "access_rules/0/path": word(
        "/v3/projects", **{"access_rules/0/method": "GET", "access_rules/0/service": "a"}
    ),
}


def _auth(method: str, inner: Any) -> Callable[[Tenant], Any]:
    """Return what makes a log-in by a method, with the tenant's things where a value begins with `@`."""

    def filled(tenant: Tenant, one: Any) -> Any:
        if isinstance(one, dict):
            return {key: filled(tenant, value) for key, value in one.items()}
        return tenant[one[1:]] if one.startswith("@") else one

    return lambda tenant: {"auth": {"identity": {"methods": [method], method: filled(tenant, inner)}}}


def _of_user(at: str, proof: Mapping[str, Any]) -> dict[str, Slot]:
    """Return the ways to name a user, each with its proof beside it."""
    by_name = {f"{at}/id": None, f"{at}/name": "@user_name", **proof}
    return {
        "id": ref("user", **{f"{at}/name": None, f"{at}/domain": None, **proof}),
        "name": ref("user_name", **{f"{at}/id": None, f"{at}/domain/id": "@domain", **proof}),
        "domain/id": ref("domain", **by_name),
        "domain/name": ref("domain_name", **by_name),
    }


_BY = "auth/identity"
_LOG_IN = {
    f"{_BY}/methods/0": word("password"),
    **{f"{_BY}/password/user/{way}": slot for way, slot in _of_user(f"{_BY}/password/user", {}).items()},
    f"{_BY}/password/user/password": ref("password"),
    "auth/scope/project/id": ref("project"),
    "auth/scope/project/name": ref("project_name", **{"auth/scope/project/domain/id": "@domain"}),
    "auth/scope/project/domain/id": ref("domain", **{"auth/scope/project/name": "@project_name"}),
    "auth/scope/project/domain/name": ref("domain_name", **{"auth/scope/project/name": "@project_name"}),
    "auth/scope/domain/id": ref("domain"),
    "auth/scope/domain/name": ref("domain_name"),
    "auth/scope/unscoped/word": never(),
}
_CREDENTIAL_IS = f"{_BY}/application_credential"
_BY_CREDENTIAL = {
    f"{_CREDENTIAL_IS}/id": ref("credential"),
    f"{_CREDENTIAL_IS}/name": ref(
        "credential_name", **{f"{_CREDENTIAL_IS}/id": None, f"{_CREDENTIAL_IS}/user/id": "@user"}
    ),
    f"{_CREDENTIAL_IS}/secret": ref("credential_secret"),
    **{
        f"{_CREDENTIAL_IS}/user/{way}": slot
        for way, slot in _of_user(
            f"{_CREDENTIAL_IS}/user",
            {f"{_CREDENTIAL_IS}/id": None, f"{_CREDENTIAL_IS}/name": "@credential_name"},
        ).items()
    },
}
IDENTITY_BODIES = [
    *(
        Template(IDENTITY, "Tokens", "POST", identity.AuthBody, _auth(method, inner), slots, "auth")
        for method, inner, slots in (
            ("password", {"user": {"id": "@user", "password": "@password"}}, _LOG_IN),
            ("token", {"id": "@token"}, {f"{_BY}/token/id": never()}),
            ("application_credential", {"id": "@credential", "secret": "@credential_secret"}, _BY_CREDENTIAL),
        )
    ),
    *(
        template(IDENTITY, view, method, serializer, place, least=least, slots=slots, keeper=True, **more)
        for view, method, serializer, place, least, slots, more in (
            ("Users", "POST", identity.UserBody, "user", {"name": "one"}, _USER, {}),
            (
                "OneUser",
                "PATCH",
                identity.UserPatch,
                "user",
                {},
                _OTHER_USER,
                {"path": {"user_id": "other_user"}},
            ),
            ("Projects", "POST", identity.ProjectBody, "project", {"name": "one"}, _PROJECT, {}),
            (
                "OneProject",
                "PATCH",
                identity.ProjectPatch,
                "project",
                {},
                _PROJECT | {"id": ref("project")},
                {},
            ),
            (
                "ProjectTags",
                "PUT",
                identity.TagsBody,
                "",
                {"tags": ["a"]},
                {"tags/0": free("project_tag")},
                {},
            ),
            ("Groups", "POST", identity.GroupBody, "group", {"name": "one"}, _GROUP, {}),
            ("OneGroup", "PATCH", identity.GroupPatch, "group", {}, _GROUP | {"id": ref("group")}, {}),
        )
    ),
    *(
        template(
            IDENTITY,
            view,
            method,
            serializer,
            place,
            least={"name": "one"},
            keeper=True,
            admins=True,
            slots={"name": never(), "description": never(), "options/word": never(), **more},
        )
        for view, method, serializer, place, more in (
            ("Domains", "POST", identity.DomainBody, "domain", {}),
            ("OneDomain", "PATCH", identity.DomainPatch, "domain", {"id": never()}),
            ("Roles", "POST", identity.RoleBody, "role", {}),
            ("OneRole", "PATCH", identity.RolePatch, "role", {"id": never()}),
        )
    ),
    template(
        IDENTITY,
        "UserPassword",
        "POST",
        identity.PasswordBody,
        "user",
        least={"original_password": "@password", "password": "another"},
        slots={"original_password": ref("password"), "password": free("server_name")},
    ),
    template(
        IDENTITY,
        "Credentials",
        "POST",
        identity.CredentialBody,
        "application_credential",
        least={"name": "one"},
        slots=_CREDENTIAL,
    ),
]
