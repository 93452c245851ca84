"""Limits and what is taken of them: one row a project with counters, one row a consumer with its charge."""

from django.db import models
from django.db.models import Q

UNLIMITED = -1
DEFAULT_LIMITS = {"instances": 10, "cores": 20, "ram_mib": 51_200}  # Nova's defaults


class ProjectUsage(models.Model):
    """A project's limits (-1: none) and the sums of its charges."""

    project_id = models.CharField(max_length=64, primary_key=True)
    instances = models.BigIntegerField(default=0)
    cores = models.BigIntegerField(default=0)
    ram_mib = models.BigIntegerField(default=0)
    instances_limit = models.BigIntegerField(default=DEFAULT_LIMITS["instances"])
    cores_limit = models.BigIntegerField(default=DEFAULT_LIMITS["cores"])
    ram_mib_limit = models.BigIntegerField(default=DEFAULT_LIMITS["ram_mib"])

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="usage_not_negative", condition=Q(instances__gte=0) & Q(cores__gte=0) & Q(ram_mib__gte=0)
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

    def __str__(self) -> str:
        return f"charge of {self.consumer_id}"
