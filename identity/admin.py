"""Identity in the operators' pages; what voids tokens goes through the services, as in the API."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group as PageGroup
from django.db.models import QuerySet
from django.http import HttpRequest

from computecloud.pages.rows import InlineRows, Rows
from identity import revocation, sharing
from identity.models import (
    Domain,
    Group,
    GroupMember,
    LoginFailure,
    Project,
    Revocation,
    Role,
    RoleAssignment,
    SigningKey,
    User,
)
from identity.services import groups, projects, roles, users
from identity.services.roles import Holding

if TYPE_CHECKING:  # the theme's are Django's, drawn as everything else is
    from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm, UserChangeForm
else:
    from unfold.forms import AdminPasswordChangeForm, UserChangeForm
    from unfold.forms import UserCreationForm as AdminUserCreationForm

admin.site.unregister(PageGroup)


class NewUserForm(AdminUserCreationForm[User]):
    """A user to be made, in a domain of choice."""

    class Meta:
        model = User
        fields = ("name", "domain")
        field_classes = {"name": forms.CharField}


class UserForm(UserChangeForm[User]):
    """Changes of a user."""

    class Meta:
        model = User
        fields = "__all__"
        field_classes = {"name": forms.CharField}


class PasswordForm(AdminPasswordChangeForm):  # type: ignore[type-arg]
    """A new password for somebody; voids the tokens."""

    def save(self, commit: bool = True) -> User:
        """Set the password."""
        user: User = self.user
        users.set_password(user, self.cleaned_data["password1"])
        return user


class AssignmentInline(InlineRows[RoleAssignment, User]):
    """The roles of a user."""

    model = RoleAssignment
    extra = 0
    autocomplete_fields = ("project",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Roles are taken away on the assignments' own page, which voids tokens."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An assignment is made or deleted, never changed."""
        return False


@admin.register(User)
class UserAdmin(DjangoUserAdmin[User], Rows[User]):
    """Users."""

    add_form = NewUserForm
    form = UserForm
    change_password_form = PasswordForm
    inlines = (AssignmentInline,)
    list_display = ("name", "domain", "email", "enabled", "is_staff", "last_login", "id")
    list_filter = ("enabled", "is_staff", "domain")
    list_select_related = ("domain",)
    search_fields = ("name", "email", "id")
    ordering = ("name",)
    readonly_fields = ("id", "last_login", "created_at")
    fieldsets = (
        (None, {"fields": ("id", "name", "domain", "password", "enabled")}),
        ("About", {"fields": ("email", "description", "default_project_id", "created_at", "last_login")}),
        ("Admin pages", {"fields": ("is_staff", "is_superuser", "groups", "user_permissions")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("name", "domain", "password1", "password2")}),)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer groups of operators only, not those that stand for projects."""
        if db_field.name == "groups":
            kwargs["queryset"] = sharing.other_groups()
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save, and void the tokens of a disabled user."""
        super().save_model(request, obj, form, change)
        if change and not obj.enabled:
            revocation.revoke_user(obj.id)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Delete and void the tokens."""
        users.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Delete and void the tokens."""
        for user in queryset:
            users.delete(user)


@admin.register(Project)
class ProjectAdmin(Rows[Project]):
    """Projects."""

    list_display = ("name", "domain", "enabled", "created_at", "id")
    list_filter = ("enabled", "domain")
    list_select_related = ("domain",)
    search_fields = ("name", "id")
    readonly_fields = ("id", "created_at")

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        """Save, and void the tokens scoped to a disabled project."""
        super().save_model(request, obj, form, change)
        if change and not obj.enabled:
            revocation.revoke_project(obj.id)

    def delete_model(self, request: HttpRequest, obj: Project) -> None:
        """Delete and void the tokens."""
        projects.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Project]) -> None:
        """Delete and void the tokens."""
        for project in queryset:
            projects.delete(project)


@admin.register(Domain)
class DomainAdmin(Rows[Domain]):
    """Domains; deleted by the API, which sees to what is in them."""

    list_display = ("name", "enabled", "id")
    search_fields = ("name", "id")
    readonly_fields = ("id",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes a domain here."""
        return False

    def save_model(self, request: HttpRequest, obj: Domain, form: Any, change: bool) -> None:
        """Save, and void the tokens of a disabled domain."""
        super().save_model(request, obj, form, change)
        if change and not obj.enabled:
            revocation.revoke_domain(obj.id)


class MemberInline(InlineRows[GroupMember, Group]):
    """The users in a group; changed by the API, which voids tokens."""

    model = GroupMember
    extra = 0
    fields = readonly_fields = ("user",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[GroupMember]:
        """Return the rows with their users."""
        return super().get_queryset(request).select_related("user")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Users are added by the API."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Users are taken out by the API."""
        return False


@admin.register(Group)
class GroupAdmin(Rows[Group]):
    """Groups of users."""

    list_display = ("name", "domain", "description", "id")
    list_filter = ("domain",)
    list_select_related = ("domain",)
    search_fields = ("name", "id")
    readonly_fields = ("id",)
    inlines = (MemberInline,)

    def delete_model(self, request: HttpRequest, obj: Group) -> None:
        """Delete and void the tokens."""
        groups.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Group]) -> None:
        """Delete and void the tokens."""
        for group in queryset:
            groups.delete(group)


@admin.register(Role)
class RoleAdmin(Rows[Role]):
    """Roles; read only, since policies are written with their names."""

    list_display = ("name", "description", "id")
    search_fields = ("name", "id")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Roles are made by the API."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Roles are changed by the API."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Roles are deleted by the API."""
        return False


@admin.register(RoleAssignment)
class RoleAssignmentAdmin(Rows[RoleAssignment]):
    """Who has which role where; made or deleted, never changed."""

    list_display = ("user", "group", "role", "project", "domain", "system")
    list_filter = ("role", "system")
    list_select_related = ("user", "group", "role", "project", "domain")
    search_fields = ("user__name", "group__name", "project__name", "user__id", "project__id")
    autocomplete_fields = ("user", "group", "project")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An assignment is made or deleted, never changed."""
        return False

    def delete_model(self, request: HttpRequest, obj: RoleAssignment) -> None:
        """Take the role away and void the tokens that say it."""
        roles.unassign(
            Holding(role=obj.role, user=obj.user, group=obj.group, project=obj.project, domain=obj.domain)
        )

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[RoleAssignment]) -> None:
        """Take the roles away and void the tokens that say them."""
        for one in queryset.select_related("user", "group", "role", "project", "domain"):
            self.delete_model(request, one)


class _ReadOnly(Rows[Any]):
    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds such a row."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes such a row."""
        return False


@admin.register(Revocation)
class RevocationAdmin(_ReadOnly):
    """Tokens that are void before their time."""

    list_display = ("key", "created_at", "expires_at")
    search_fields = ("key",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A void token stays void."""
        return False


@admin.register(SigningKey)
class SigningKeyAdmin(_ReadOnly):
    """The keys that tokens are signed with; rotated by `computecloud token rotate`."""

    list_display = ("id", "created_at", "expires_at")
    fields = ("id", "created_at", "expires_at")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A key goes when its tokens have expired."""
        return False


@admin.register(LoginFailure)
class LoginFailureAdmin(_ReadOnly):
    """Failed log-ins that still count; deleting a row lets the account try again."""

    list_display = ("key", "count", "began_at")
