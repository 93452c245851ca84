"""Limits and what is taken of them: the defaults, one row a project with counters, one row a consumer with its charge.

Limits are as the Compute API has them: -1 is none, and what a project has no limit of its own for follows the defaults.
"""

from typing import Any

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

UNLIMITED = -1
DEFAULT_CLASS = "default"
# Counted in a project's row, as the sums of its charges.
COUNTED = ("instances", "cores", "ram_mib", "server_groups")
# All that has a limit. Key pairs are counted a user, members of a group a user in it, metadata items a server; nothing
# here is bound by the last seven: files are not injected, and the Network API has its own things.
LIMITED = (
    *COUNTED,
    "key_pairs",
    "metadata_items",
    "server_group_members",
    "injected_files",
    "injected_file_content_bytes",
    "injected_file_path_bytes",
    "floating_ips",
    "fixed_ips",
    "security_groups",
    "security_group_rules",
)


def _default(amount: int) -> Any:
    return models.BigIntegerField(default=amount, validators=[MinValueValidator(UNLIMITED)])


def _own() -> Any:
    return models.BigIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(UNLIMITED)],
        help_text="-1: none; empty: the default",
    )


class QuotaClass(models.Model):
    """The limits of every project that has none of its own; the row `default`, which begins with Nova's numbers."""

    name = models.CharField(max_length=64, primary_key=True, default=DEFAULT_CLASS, editable=False)
    instances_limit = _default(10)
    cores_limit = _default(20)
    ram_mib_limit = _default(51_200)
    server_groups_limit = _default(10)
    key_pairs_limit = _default(100)
    metadata_items_limit = _default(128)
    server_group_members_limit = _default(10)
    injected_files_limit = _default(0)
    injected_file_content_bytes_limit = _default(0)
    injected_file_path_bytes_limit = _default(0)
    floating_ips_limit = _default(UNLIMITED)
    fixed_ips_limit = _default(UNLIMITED)
    security_groups_limit = _default(UNLIMITED)
    security_group_rules_limit = _default(UNLIMITED)

    class Meta:
        verbose_name_plural = "quota classes"

    def __str__(self) -> str:
        return f"{self.name} limits"


class ProjectUsage(models.Model):
    """A project's own limits and the sums of its charges."""

    project_id = models.CharField(max_length=64, primary_key=True)
    instances = models.BigIntegerField(default=0)
    cores = models.BigIntegerField(default=0)
    ram_mib = models.BigIntegerField(default=0)
    server_groups = models.BigIntegerField(default=0, db_default=0)
    instances_limit = _own()
    cores_limit = _own()
    ram_mib_limit = _own()
    server_groups_limit = _own()
    key_pairs_limit = _own()
    metadata_items_limit = _own()
    server_group_members_limit = _own()
    injected_files_limit = _own()
    injected_file_content_bytes_limit = _own()
    injected_file_path_bytes_limit = _own()
    floating_ips_limit = _own()
    fixed_ips_limit = _own()
    security_groups_limit = _own()
    security_group_rules_limit = _own()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="usage_not_negative",
                condition=Q(instances__gte=0) & Q(cores__gte=0) & Q(ram_mib__gte=0) & Q(server_groups__gte=0),
            )
        ]

    def __str__(self) -> str:
        return f"quota of {self.project_id}"


class Charge(models.Model):
    """What one consumer takes of its project's quota; released by deleting this row."""

    consumer_id = models.UUIDField(primary_key=True)
    project_id = models.CharField(max_length=64, db_index=True)
    instances = models.IntegerField()
    cores = models.IntegerField()
    ram_mib = models.BigIntegerField()
    server_groups = models.IntegerField(default=0, db_default=0)

    def __str__(self) -> str:
        return f"charge of {self.consumer_id}"


class Tally(models.Model):
    """How many things of one kind an owner has that is no project: a user, or a user in a server group.

    The row is made when it is first asked for, from the things that are there (quotas.tallies).
    """

    resource = models.CharField(max_length=32)
    owner = models.CharField(max_length=128)
    used = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "tallies"
        constraints = [models.UniqueConstraint(fields=["resource", "owner"], name="tally_once")]

    def __str__(self) -> str:
        return f"{self.resource} of {self.owner}"
