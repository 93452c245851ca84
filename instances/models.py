"""What is kept about flavors, key pairs and servers; ids of other rooms' things are plain columns."""

import json
import uuid
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from identity.sharing import Sharing
from instances.states import PowerState, TaskState, VmState


class ReadableJSON(json.JSONEncoder):
    """JSON with letters of every script as they are, so that the database can be searched for them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "ensure_ascii": False})


def _choices(enum: type[VmState] | type[TaskState]) -> list[tuple[str, str]]:
    return [(state.value, state.value) for state in enum]


class Flavor(models.Model):
    """A size of server. It is never changed but for its description; a server keeps a copy of what it was made with."""

    flavorid = models.CharField(max_length=255, unique=True)  # the id that the API shows
    name = models.CharField(max_length=255, unique=True)
    ram = models.PositiveIntegerField(help_text="MiB")
    disk = models.PositiveIntegerField(help_text="GiB; 0: as large as the image says")
    vcpus = models.PositiveIntegerField()
    swap = models.PositiveIntegerField(default=0, help_text="MiB")
    ephemeral = models.PositiveIntegerField(default=0, help_text="GiB")
    rxtx_factor = models.FloatField(default=1.0)
    disabled = models.BooleanField(default=False)
    is_public = models.BooleanField(default=True)
    description = models.TextField(null=True, blank=True)
    extra_specs = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["flavorid"]

    def __str__(self) -> str:
        return self.name

    def embedded(self) -> dict[str, Any]:
        """Return the form in which a server shows its flavor (from API version 2.47 on)."""
        return {
            "vcpus": self.vcpus,
            "ram": self.ram,
            "disk": self.disk,
            "ephemeral": self.ephemeral,
            "swap": self.swap,
            "original_name": self.name,
            "extra_specs": self.extra_specs,
        }


class FlavorSharing(Sharing):
    """A project that may use a flavor which is not public."""

    content_object = models.ForeignKey(Flavor, on_delete=models.CASCADE, related_name="sharings")


class KeyPair(models.Model):
    """A user's public key; the private half of a generated one is shown once and never kept."""

    user_id = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    type = models.CharField(max_length=8, choices=[("ssh", "ssh"), ("x509", "x509")], default="ssh")
    fingerprint = models.CharField(max_length=255)
    public_key = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user_id", "name"], name="keypair_name_once_a_user")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class InstanceNumber(models.Model):
    """Gives each instance its short number: a sequence that SQLite and PostgreSQL both have; it keeps no rows."""

    id = models.BigAutoField(primary_key=True)

    def __str__(self) -> str:
        return str(self.id)


class Instance(models.Model):
    """One server, with all that the Compute API shows of it in this one row.

    vm_state, task_state and power_state are written by instances.transitions alone. A deleted server keeps its row
    with `deleted` set. The JSON columns hold the API's own forms, which the list path hands on without parsing them.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.BigIntegerField(unique=True)
    project_id = models.CharField(max_length=64)
    user_id = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    description = models.TextField(null=True, blank=True)
    hostname = models.CharField(max_length=255)

    vm_state = models.CharField(max_length=32, choices=_choices(VmState))
    task_state = models.CharField(max_length=64, null=True, blank=True, choices=_choices(TaskState))
    vm_state_before = models.CharField(
        max_length=32, blank=True, help_text="vm_state when the last action began"
    )
    power_state = models.SmallIntegerField(
        default=PowerState.NOSTATE.value, choices=[(state.value, state.name) for state in PowerState]
    )
    progress = models.PositiveSmallIntegerField(default=0)
    fault = models.JSONField(null=True, blank=True)  # {code, message, details, created}

    host = models.CharField(max_length=255, null=True, blank=True)
    node = models.CharField(max_length=255, null=True, blank=True)
    availability_zone = models.CharField(
        max_length=255, blank=True, help_text="asked for, or of the host it runs on"
    )
    pinned_zone = models.CharField(max_length=255, null=True, blank=True)

    flavor_id = models.CharField(max_length=255)  # Flavor.flavorid
    flavor = models.JSONField()  # Flavor.embedded()
    image_id = models.UUIDField(null=True, blank=True)  # null: the root disk is a volume
    image_properties = models.JSONField(default=dict, blank=True)
    kernel_id = models.CharField(max_length=255, blank=True)
    ramdisk_id = models.CharField(max_length=255, blank=True)
    root_device_name = models.CharField(max_length=255, null=True, blank=True)

    key_name = models.CharField(max_length=255, null=True, blank=True)
    key_data = models.TextField(blank=True)
    key_type = models.CharField(max_length=8, blank=True)
    metadata = models.JSONField(default=dict, blank=True)  # {key: text}
    tags = models.JSONField(default=list, blank=True, encoder=ReadableJSON)  # [text], sorted
    addresses = models.JSONField(default=dict, blank=True)  # {network name: [{addr, version, OS-EXT-IPS…}]}
    volumes = models.JSONField(default=list, blank=True)  # [{id, delete_on_termination}]
    security_groups = models.JSONField(default=list, blank=True)  # [{name}]
    scheduler_hints = models.JSONField(default=dict, blank=True)
    trusted_certs = models.JSONField(null=True, blank=True)  # [certificate id]
    user_data = models.TextField(null=True, blank=True)  # base64, as the client sent it
    guest_password = models.TextField(
        default="", db_default="", help_text="sealed; what its guest posted, encrypted for who has the key"
    )
    config_drive = models.BooleanField(default=False)
    auto_disk_config = models.BooleanField(default=False)  # OS-DCF:diskConfig AUTO
    access_ip_v4 = models.CharField(max_length=15, blank=True)
    access_ip_v6 = models.CharField(max_length=45, blank=True)

    locked_by = models.CharField(max_length=8, blank=True, choices=[("owner", "owner"), ("admin", "admin")])
    locked_reason = models.CharField(max_length=255, null=True, blank=True)
    reservation_id = models.CharField(max_length=36)
    launch_index = models.PositiveIntegerField(default=0)

    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    launched_at = models.DateTimeField(null=True, blank=True)
    terminated_at = models.DateTimeField(null=True, blank=True)
    deleted = models.BooleanField(default=False)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(
                fields=["project_id", "-created_at", "-id"],
                name="instance_of_project",
                condition=Q(deleted=False),
            ),
            models.Index(fields=["-created_at", "-id"], name="instance_of_all", condition=Q(deleted=False)),
            models.Index(fields=["host", "node"], name="instance_on_host", condition=Q(deleted=False)),
            models.Index(fields=["project_id", "updated_at"], name="instance_changed"),
            models.Index(fields=["reservation_id"], name="instance_reserved"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.id}"

    @property
    def instance_name(self) -> str:
        """Return the name of the guest on its node."""
        return guest_name(self.number)


def guest_name(number: int) -> str:
    """Return the name of a guest on its node from the instance's number."""
    return f"instance-{number:08x}"
