"""Nodes as resource providers: what they have, what is claimed of it, and why each guest is where it is."""

import uuid

from django.db import models

from workers.models import Host, utc_now

VCPU, MEMORY_MB, DISK_GB = "VCPU", "MEMORY_MB", "DISK_GB"  # Placement's names; MB and GB are MiB and GiB


class Node(models.Model):
    """What runs guests: one libvirt, one fake hypervisor; the resource provider."""

    id = models.UUIDField(primary_key=True)
    number = models.BigIntegerField(unique=True, help_text="the Compute API's id below 2.53")
    host = models.ForeignKey(Host, on_delete=models.PROTECT, related_name="nodes")
    name = models.CharField(max_length=255)
    zone = models.CharField(max_length=255)
    hypervisor_type = models.CharField(max_length=64)
    hypervisor_version = models.BigIntegerField()
    architecture = models.CharField(max_length=32)
    cpu_info = models.JSONField(default=dict)
    host_ip = models.CharField(max_length=64)
    traits = models.JSONField(default=list)
    present = models.BooleanField(default=True, help_text="its host's driver reports it")
    generation = models.BigIntegerField(default=0)
    reported_at = models.DateTimeField(default=utc_now)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["host", "name"], name="node_once")]

    def __str__(self) -> str:
        return self.name


class Inventory(models.Model):
    """How much of one resource class a node has, and how much is claimed."""

    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="inventories")
    resource_class = models.CharField(max_length=64)
    total = models.BigIntegerField()
    reserved = models.BigIntegerField(default=0)
    allocation_ratio = models.FloatField(default=1.0)
    used = models.BigIntegerField(default=0, help_text="the sum of the allocations")

    class Meta:
        verbose_name_plural = "inventories"
        constraints = [models.UniqueConstraint(fields=["node", "resource_class"], name="inventory_once")]

    def __str__(self) -> str:
        return f"{self.resource_class} of {self.node_id}"


class Allocation(models.Model):
    """What one consumer has claimed of one resource class on one node."""

    consumer_id = models.UUIDField()
    node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="allocations")
    resource_class = models.CharField(max_length=64)
    amount = models.BigIntegerField()
    project_id = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["consumer_id", "node", "resource_class"], name="allocation_once")
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.resource_class} for {self.consumer_id}"


class Decision(models.Model):
    """Why a consumer was placed where it is, or nowhere: how many nodes each rule removed, and the best weights."""

    operation_id = models.UUIDField()
    consumer_id = models.UUIDField(db_index=True)
    node = models.CharField(max_length=255, blank=True)
    considered = models.IntegerField()
    verdicts = models.JSONField(help_text="rule by rule: name, how many it removed, which (the first few)")
    weights = models.JSONField(default=list, help_text="the best nodes with each weigher's share")
    created_at = models.DateTimeField(default=utc_now)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.consumer_id} on {self.node or 'no node'}"


class Policy(models.TextChoices):
    """How the members of a server group stand to each other; the soft ones are wishes."""

    AFFINITY = "affinity"
    ANTI_AFFINITY = "anti-affinity"
    SOFT_AFFINITY = "soft-affinity"
    SOFT_ANTI_AFFINITY = "soft-anti-affinity"


class ServerGroup(models.Model):
    """Servers of a project that are to stand together or apart.

    anchor and placed are affinity's: the node on which its `placed` members stand; with none placed it says nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project_id = models.CharField(max_length=64, db_index=True)
    user_id = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    policy = models.CharField(max_length=32, choices=Policy)
    max_per_node = models.PositiveIntegerField(null=True, blank=True, help_text="of anti-affinity; none: 1")
    anchor = models.ForeignKey(
        Node, null=True, on_delete=models.SET_NULL, related_name="+", db_constraint=False
    )
    placed = models.IntegerField(default=0)
    created_at = models.DateTimeField(default=utc_now)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.name


class GroupMember(models.Model):
    """A consumer that was made as a member of a group; it stays one until it is gone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    group = models.ForeignKey(
        ServerGroup, on_delete=models.CASCADE, related_name="members", db_constraint=False
    )
    consumer_id = models.UUIDField(unique=True)
    user_id = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=utc_now)

    def __str__(self) -> str:
        return f"{self.consumer_id} of {self.group_id}"


class GroupPlace(models.Model):
    """Where a member of a group stands; a slot is taken once, and only anti-affinity has slots."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    group = models.ForeignKey(
        ServerGroup, on_delete=models.CASCADE, related_name="places", db_constraint=False
    )
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    slot = models.PositiveIntegerField(null=True)
    consumer_id = models.UUIDField(unique=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "node", "slot"], name="group_slot_once")]

    def __str__(self) -> str:
        return f"{self.consumer_id} on {self.node_id}"
