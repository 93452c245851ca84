"""What the identity API reads."""

from typing import Any

from rest_framework.serializers import ListField, ValidationError

from computecloud.wire import fields
from computecloud.wire.paging import PageQuery
from computecloud.wire.serializers import StrictSerializer
from identity.api.extras import ExtensibleSerializer

_optional: dict[str, Any] = {"required": False}
_PASSWORD: dict[str, Any] = {"min_length": 1, "max_length": 1_024, "multiline": True}


class DomainRef(StrictSerializer):
    """A domain by id or name."""

    id = fields.Identifier(**_optional)
    name = fields.Text(**_optional)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a reference to nothing."""
        if not attrs.get("id") and not attrs.get("name"):
            raise ValidationError("it needs an 'id' or a 'name'")
        return attrs


class Ref(DomainRef):
    """A user or project by id, or by name in a domain."""

    domain = DomainRef(**_optional)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a name without a domain."""
        super().validate(attrs)
        if not attrs.get("id") and "domain" not in attrs:
            raise ValidationError("a 'name' needs a 'domain'")
        return attrs


class PasswordUser(Ref):
    """A user with the password to check."""

    password = fields.Text(**_PASSWORD)


class PasswordMethod(StrictSerializer):
    """auth.identity.password."""

    user = PasswordUser()


class TokenMethod(StrictSerializer):
    """auth.identity.token."""

    id = fields.Text(min_length=1, max_length=8_192)


class CredentialMethod(StrictSerializer):
    """auth.identity.application_credential: by its id, or by its name and its user."""

    id = fields.Identifier(**_optional)
    name = fields.Text(**_optional)
    user = Ref(**_optional)
    secret = fields.Text(**_PASSWORD)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a reference to nothing."""
        if not attrs.get("id") and not (attrs.get("name") and "user" in attrs):
            raise ValidationError("it needs an 'id', or a 'name' and a 'user'")
        return attrs


class IdentityBody(StrictSerializer):
    """auth.identity: how the user proves who they are."""

    methods = ListField(child=fields.Text(), min_length=1, max_length=4)
    password = PasswordMethod(**_optional)
    token = TokenMethod(**_optional)
    application_credential = CredentialMethod(**_optional)


class SystemScope(StrictSerializer):
    """auth.scope.system: there is one system, `all`."""

    all = fields.Choice([True])


class ScopeBody(StrictSerializer):
    """auth.scope: an object with one of these keys, or the text `unscoped`."""

    project = Ref(**_optional)
    domain = DomainRef(**_optional)
    unscoped = fields.Object(max_items=0, **_optional)
    system = SystemScope(**_optional)

    def run_validation(self, data: Any = None) -> Any:
        """Return the validated scope."""
        return super().run_validation({"unscoped": {}} if data == "unscoped" else data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse no or several scopes at once."""
        if len(attrs) != 1:
            raise ValidationError("exactly one of 'project', 'domain', 'unscoped' and 'system' is needed")
        return attrs


class AuthBody(StrictSerializer):
    """The body of POST /auth/tokens."""

    identity = IdentityBody()
    scope = ScopeBody(**_optional)


class TokenQuery(StrictSerializer):
    """The query of /auth/tokens."""

    nocatalog = fields.Text(**_optional)


class UserBody(ExtensibleSerializer):
    """A user to be made."""

    name = fields.Name()
    domain_id = fields.Identifier(**_optional)
    default_project_id = fields.Identifier(allow_null=True, **_optional)
    email = fields.Text(allow_null=True, **_optional)
    description = fields.Text(multiline=True, allow_null=True, **_optional)
    enabled = fields.Boolean(**_optional)
    password = fields.Text(allow_null=True, **_optional, **_PASSWORD)
    options = fields.Object(max_items=0, **_optional)


class UserPatch(UserBody):
    """Changes of a user."""

    id = fields.Text(allow_null=True, **_optional)
    name = fields.Name(**_optional)


class PasswordBody(StrictSerializer):
    """A user's own new password."""

    original_password = fields.Text(**_PASSWORD)
    password = fields.Text(**_PASSWORD)


class ProjectBody(ExtensibleSerializer):
    """A project to be made; one that is a domain is in none, and below nothing."""

    name = fields.Name(max_length=64)
    domain_id = fields.Identifier(allow_null=True, **_optional)
    parent_id = fields.Identifier(allow_null=True, **_optional)
    description = fields.Text(multiline=True, allow_null=True, **_optional)
    enabled = fields.Boolean(**_optional)
    is_domain = fields.Boolean(**_optional)
    tags = ListField(child=fields.Text(min_length=1, pattern=r"[^,/]+"), max_length=80, **_optional)
    options = fields.Object(max_items=0, **_optional)


class ProjectPatch(ProjectBody):
    """Changes of a project."""

    id = fields.Text(allow_null=True, **_optional)
    name = fields.Name(max_length=64, **_optional)


class TagsBody(StrictSerializer):
    """All tags of a project."""

    tags = ListField(child=fields.Text(min_length=1, pattern=r"[^,/]+"), max_length=80)


class DomainBody(ExtensibleSerializer):
    """A domain to be made."""

    computed = ExtensibleSerializer.computed | {"is_domain", "tags"}
    name = fields.Name(max_length=64)
    description = fields.Text(multiline=True, allow_null=True, **_optional)
    enabled = fields.Boolean(**_optional)
    options = fields.Object(max_items=0, **_optional)


class DomainPatch(DomainBody):
    """Changes of a domain."""

    id = fields.Text(allow_null=True, **_optional)
    name = fields.Name(max_length=64, **_optional)


class RoleBody(ExtensibleSerializer):
    """A role to be made."""

    name = fields.Name()
    description = fields.Text(multiline=True, allow_null=True, **_optional)
    domain_id = fields.Choice([None], allow_null=True, **_optional)
    options = fields.Object(max_items=0, **_optional)


class RolePatch(RoleBody):
    """Changes of a role."""

    id = fields.Text(allow_null=True, **_optional)
    name = fields.Name(**_optional)


class GroupBody(ExtensibleSerializer):
    """A group to be made."""

    name = fields.Name(max_length=64)
    domain_id = fields.Identifier(**_optional)
    description = fields.Text(multiline=True, allow_null=True, **_optional)
    options = fields.Object(max_items=0, **_optional)


class GroupPatch(GroupBody):
    """Changes of a group."""

    id = fields.Text(allow_null=True, **_optional)
    name = fields.Name(max_length=64, **_optional)


class RoleRef(StrictSerializer):
    """A role by id or name."""

    id = fields.Identifier(**_optional)
    name = fields.Text(**_optional)
    domain_id = fields.Choice([None], allow_null=True, **_optional)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a reference to nothing."""
        if not attrs.get("id") and not attrs.get("name"):
            raise ValidationError("it needs an 'id' or a 'name'")
        return attrs


class RuleBody(StrictSerializer):
    """A request that a credential may be used for; the segments `*` and `{name}` are any one, `**` any number."""

    service = fields.Text(min_length=1, max_length=64)
    method = fields.Choice(["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"])
    path = fields.Text(max_length=128, pattern=r"(/(\*\*?|\{[^/{}*]+\}|[^/{}*\s]*))+")


class CredentialBody(StrictSerializer):
    """An application credential to be made; clients send empty lists where they mean nothing in particular."""

    name = fields.Name()
    description = fields.Text(multiline=True, allow_null=True, **_optional)
    secret = fields.Text(allow_null=True, **_optional, **_PASSWORD)
    roles = ListField(child=RoleRef(), max_length=64, **_optional)
    project_id = fields.Identifier(allow_null=True, **_optional)
    unrestricted = fields.Boolean(**_optional)
    expires_at = fields.Timestamp(allow_null=True, **_optional)
    access_rules = ListField(child=RuleBody(), max_length=16, allow_null=True, **_optional)


INEXACT = {
    "name__contains": "name__icontains",
    "name__icontains": "name__icontains",
    "name__startswith": "name__istartswith",
    "name__istartswith": "name__istartswith",
    "name__endswith": "name__iendswith",
    "name__iendswith": "name__iendswith",
}
TAG_FILTERS = {"tags": "tags", "tags_any": "tags-any", "not_tags": "not-tags", "not_tags_any": "not-tags-any"}


class ListQuery(PageQuery):
    """Filters that several lists know; a list uses those that its things have."""

    keys = TAG_FILTERS
    name = fields.Text(**_optional)
    name__contains = fields.Text(**_optional)
    name__icontains = fields.Text(**_optional)
    name__startswith = fields.Text(**_optional)
    name__istartswith = fields.Text(**_optional)
    name__endswith = fields.Text(**_optional)
    name__iendswith = fields.Text(**_optional)
    tags = fields.Text(**_optional)
    tags_any = fields.Text(**_optional)
    not_tags = fields.Text(**_optional)
    not_tags_any = fields.Text(**_optional)
    domain_id = fields.Text(**_optional)
    parent_id = fields.Text(**_optional)
    enabled = fields.Boolean(**_optional)
    is_domain = fields.Boolean(**_optional)
    type = fields.Text(**_optional)
    interface = fields.Text(**_optional)
    service_id = fields.Text(**_optional)


class AssignmentQuery(StrictSerializer):
    """Filters of role assignments; the last three are flags, on when they are there. Nothing is inherited."""

    keys = {
        "user_id": "user.id",
        "group_id": "group.id",
        "role_id": "role.id",
        "project_id": "scope.project.id",
        "scope_domain_id": "scope.domain.id",
        "system": "scope.system",
        "inherited_to": "scope.OS-INHERIT:inherited_to",
    }
    user_id = fields.Text(**_optional)
    group_id = fields.Text(**_optional)
    role_id = fields.Text(**_optional)
    project_id = fields.Text(**_optional)
    scope_domain_id = fields.Text(**_optional)
    system = fields.Text(**_optional)
    inherited_to = fields.Text(**_optional)
    effective = fields.Text(**_optional)
    include_names = fields.Text(**_optional)
    include_subtree = fields.Text(**_optional)
