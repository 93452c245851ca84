"""Who there is: domains, projects, users, groups, roles, who has which role where, and what is no longer valid."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models import Q

DEFAULT_DOMAIN_ID = "default"


def new_id() -> str:
    """Return a fresh id of 32 hexadecimal digits."""
    return uuid.uuid4().hex


class Extensible(models.Model):
    """What may have keys of its owner's own beside ours; answers show them as they came."""

    extra = models.JSONField(default=dict, db_default={}, editable=False)

    class Meta:
        abstract = True


class Domain(Extensible):
    """A name space of users and projects."""

    id = models.CharField(max_length=64, primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=64, unique=True)
    description = models.CharField(max_length=255, blank=True)
    enabled = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name


class Project(Extensible):
    """A tenant: what owns servers, images, networks and quota."""

    id = models.CharField(max_length=64, primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=64)
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT)
    parent_id = models.CharField(max_length=64, blank=True)
    description = models.CharField(max_length=255, blank=True)
    enabled = models.BooleanField(default=True)
    tags = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["domain", "name"], name="project_name_is_unique_in_its_domain"),
        ]

    def __str__(self) -> str:
        return self.name


class Role(Extensible):
    """A right to something, by name; which one implies which stands in identity.policy."""

    id = models.CharField(max_length=64, primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=255, unique=True)
    description = models.CharField(max_length=255, blank=True)

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    """Finds users as Django's own parts do: by a name in the default domain."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the default domain's user of this name; raises User.DoesNotExist."""
        return self.get(domain_id=DEFAULT_DOMAIN_ID, name=username)

    def create_superuser(self, name: str, password: str | None = None, **extra: Any) -> "User":
        """Make a user of the admin pages in the default domain, as `manage.py createsuperuser` wants it."""
        user = User(name=name, domain_id=DEFAULT_DOMAIN_ID, is_staff=True, is_superuser=True, **extra)
        user.set_password(password)
        user.save(force_insert=True)
        return user


class User(Extensible, AbstractBaseUser, PermissionsMixin):
    """A person or program; is_staff and is_superuser concern the admin pages alone, roles the APIs."""

    id = models.CharField(max_length=64, primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=255)
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT, default=DEFAULT_DOMAIN_ID)
    default_project_id = models.CharField(max_length=64, blank=True)
    email = models.EmailField(max_length=255, blank=True)
    description = models.CharField(max_length=255, blank=True)
    enabled = models.BooleanField(default=True)
    is_staff = models.BooleanField("may use the admin pages", default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD: ClassVar[str] = "name"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    EMAIL_FIELD: ClassVar[str] = "email"

    objects = UserManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["domain", "name"], name="user_name_is_unique_in_its_domain"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:  # type: ignore[override]
        """Return what Django calls enabled."""
        return self.enabled


class Group(Extensible):
    """Users who are given roles together."""

    id = models.CharField(max_length=64, primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=64)
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT)
    description = models.CharField(max_length=255, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["domain", "name"], name="group_name_is_unique_in_its_domain"),
        ]

    def __str__(self) -> str:
        return self.name


class GroupMember(models.Model):
    """A user in a group."""

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "user"], name="user_is_in_a_group_once")]

    def __str__(self) -> str:
        return f"{self.user_id} is in {self.group_id}"


class ImpliedRole(models.Model):
    """A role that whoever has another one has too, besides those that identity.policy says."""

    prior = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="implications")
    implied = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["prior", "implied"], name="role_is_implied_once")]

    def __str__(self) -> str:
        return f"{self.prior_id} implies {self.implied_id}"


class RoleAssignment(models.Model):
    """A role of a user or of a group, in a project, in a domain, or (`system`) in the whole cloud."""

    user = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="role_assignments", null=True, blank=True
    )
    group = models.ForeignKey(
        Group, on_delete=models.CASCADE, related_name="role_assignments", null=True, blank=True
    )
    role = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="assignments")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, null=True, blank=True)
    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, null=True, blank=True)
    system = models.BooleanField("in the whole cloud", default=False)

    class Meta:
        constraints = [
            *(
                models.UniqueConstraint(
                    fields=[actor, scope, "role"],
                    condition=Q(**{f"{scope}__isnull": False}),
                    name=f"{actor}_has_a_role_in_a_{scope}_once",
                )
                for actor in ("user", "group")
                for scope in ("project", "domain")
            ),
            *(
                models.UniqueConstraint(
                    fields=[actor, "role"],
                    condition=Q(system=True),
                    name=f"{actor}_has_a_role_in_the_system_once",
                )
                for actor in ("user", "group")
            ),
            models.CheckConstraint(
                condition=Q(project=None, domain__isnull=False, system=False)
                | Q(project__isnull=False, domain=None, system=False)
                | Q(project=None, domain=None, system=True),
                name="role_is_assigned_in_one_scope",
            ),
            models.CheckConstraint(
                condition=Q(user=None, group__isnull=False) | Q(user__isnull=False, group=None),
                name="role_is_assigned_to_a_user_or_a_group",
            ),
        ]

    def __str__(self) -> str:
        scope = "the system" if self.system else self.project_id or self.domain_id
        return f"{self.user_id or self.group_id} is {self.role_id} in {scope}"


class ApplicationCredential(models.Model):
    """A user's password for a program: for one project, for some of the user's roles there, until it expires."""

    id = models.CharField(max_length=64, primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="application_credentials")
    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    name = models.CharField(max_length=255)
    description = models.CharField(max_length=255, blank=True)
    secret = models.CharField(max_length=128, help_text="hashed as passwords are")
    roles = models.ManyToManyField(Role)
    unrestricted = models.BooleanField(default=False, help_text="may make and delete others of its kind")
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "name"], name="application_credential_name_once_a_user"),
        ]

    def __str__(self) -> str:
        return self.name


class AccessRule(models.Model):
    """A request that application credentials may be used for: a service's type, a method and a path with wildcards."""

    id = models.CharField(max_length=64, primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="access_rules")
    credentials = models.ManyToManyField(ApplicationCredential, related_name="access_rules")
    service = models.CharField(max_length=64)
    method = models.CharField(max_length=16)
    path = models.CharField(max_length=128)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "service", "method", "path"], name="access_rule_once_a_user"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.service} {self.path}"


class SigningKey(models.Model):
    """A key that tokens are signed with; the newest signs, all check until they expire (identity.signing)."""

    id = models.CharField(max_length=64, primary_key=True, help_text="the kid in a token's header")
    sealed = models.TextField(
        blank=True, help_text="encrypted with the secret key; empty: made from the settings"
    )
    created_at = models.DateTimeField(db_index=True)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="when no token of it can live any more; empty: it is the newest"
    )

    def __str__(self) -> str:
        return self.id


class Revocation(models.Model):
    """Tokens of `key` made until `before` are void.

    A key is audit:…, user:…, project:…, domain:…, grant:<user>:<scope>, credential:… or key:<that it is signed with>.
    """

    key = models.CharField(max_length=160)
    before = models.FloatField(help_text="seconds since 1970; a token made until then is void")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    expires_at = models.DateTimeField(db_index=True, help_text="no such token can live longer")

    def __str__(self) -> str:
        return self.key


class LoginFailure(models.Model):
    """Failed log-ins of one account from one source, counted since `began_at`."""

    key = models.CharField(max_length=64, unique=True)
    count = models.PositiveIntegerField(default=1)
    began_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.count} since {self.began_at}"
