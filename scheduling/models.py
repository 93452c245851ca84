"""Nodes as resource providers: what they have, what is claimed of it, and why each guest is where it is."""

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
