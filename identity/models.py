"""Who there is: domains, projects, users, roles, who has which role where, and what is no longer valid."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models import Q

DEFAULT_DOMAIN_ID = "default"


def new_id() -> str:
    """Return a fresh id of 32 hexadecimal digits."""
    return uuid.uuid4().hex


class Domain(models.Model):
    """A name space of users and projects."""

    id = models.CharField(max_length=64, primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=64, unique=True)
    description = models.CharField(max_length=255, blank=True)
    enabled = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name


class Project(models.Model):
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


class Role(models.Model):
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


class User(AbstractBaseUser, PermissionsMixin):
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


class RoleAssignment(models.Model):
    """A user's role in a project or in a domain."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="role_assignments")
    role = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="assignments")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, null=True, blank=True)
    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "project", "role"],
                condition=Q(domain=None),
                name="role_is_assigned_once_in_a_project",
            ),
            models.UniqueConstraint(
                fields=["user", "domain", "role"],
                condition=Q(project=None),
                name="role_is_assigned_once_in_a_domain",
            ),
            models.CheckConstraint(
                condition=Q(project=None, domain__isnull=False) | Q(project__isnull=False, domain=None),
                name="role_is_assigned_in_a_project_or_a_domain",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} is {self.role_id} in {self.project_id or self.domain_id}"


class Revocation(models.Model):
    """Tokens of `key` (audit:…, user:…, project:…, domain:…, grant:<user>:<scope>) made until `before` are void."""

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
