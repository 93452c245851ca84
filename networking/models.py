"""What is known of networks: subnets, ports, addresses taken, who may talk to whom, and what is shared."""

import ipaddress
import json
import uuid
from typing import Any

from django.db import models
from django.db.models import Q, Value

from networking import protocols
from workers.models import utc_now


class ReadableJSON(json.JSONEncoder):
    """JSON with letters of every script as they are, so that the database can be searched for them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "ensure_ascii": False})


class Installation(models.Model):
    """The one row that says what this cloud's things are called on hosts; the same for all its hosts."""

    tag = models.CharField(max_length=3)

    def __str__(self) -> str:
        return self.tag


class Tenant(models.Model):
    """A project's row to write first when it makes something counted: so two requests count one after the other."""

    project_id = models.CharField(max_length=64, primary_key=True)
    made = models.BigIntegerField(default=0, help_text="how often something was made; rises only")
    limits = models.JSONField(default=dict, help_text="{resource: how many}, where they are not the usual")

    def __str__(self) -> str:
        return self.project_id


class Owned(models.Model):
    """What every thing of the Network API has."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project_id = models.CharField(max_length=64, blank=True)
    name = models.CharField(max_length=255, blank=True)
    description = models.CharField(max_length=255, blank=True)
    tags = models.JSONField(default=list, blank=True, encoder=ReadableJSON)  # [text], sorted
    revision = models.BigIntegerField(default=0, help_text="rises with every change")
    created_at = models.DateTimeField(default=utc_now)
    updated_at = models.DateTimeField(default=utc_now)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name or str(self.id)


class Network(Owned):
    """A layer-2 segment; a tenant's is closed in itself, an external one reaches the world through its host."""

    admin_state_up = models.BooleanField(default=True)
    shared = models.BooleanField(default=False, help_text="every project may put ports on it")
    external = models.BooleanField(
        default=False, help_text="its gateway is the host, which translates addresses"
    )
    mtu = models.IntegerField(default=1450)
    vni = models.IntegerField(unique=True, help_text="its number on the wire between hosts")
    port_security_enabled = models.BooleanField(default=True, help_text="what its new ports begin with")
    is_auto = models.BooleanField(default=False, help_text="made for a project that asked for networks: auto")

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(fields=["project_id"], name="network_project"),
            models.Index(fields=["shared"], name="network_shared", condition=Q(shared=True)),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["project_id"], condition=Q(is_auto=True), name="one_auto_network_a_project"
            )
        ]


class Subnet(Owned):
    """A range of addresses on a network."""

    network = models.ForeignKey(Network, on_delete=models.PROTECT, related_name="subnets")
    ip_version = models.IntegerField(default=4)
    cidr = models.CharField(max_length=43)
    gateway_ip = models.CharField(max_length=39, null=True)
    enable_dhcp = models.BooleanField(default=True)
    dhcp_address = models.CharField(
        max_length=39, null=True, help_text="where the network's DHCP server answers"
    )
    pools = models.JSONField(default=list, help_text="[{start, end}]: what ports get addresses from")
    dns_nameservers = models.JSONField(default=list)
    host_routes = models.JSONField(default=list, help_text="[{destination, nexthop}]")
    ipv6_ra_mode = models.CharField(max_length=16, null=True)
    ipv6_address_mode = models.CharField(max_length=16, null=True)
    cursor = models.BigIntegerField(default=0, help_text="offset in the cidr of the next address to hand out")

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [models.Index(fields=["project_id"], name="subnet_project")]


class PortStatus(models.TextChoices):
    """DOWN: on no host; BUILD: given to a host; ACTIVE: wired there."""

    DOWN = "DOWN"
    BUILD = "BUILD"
    ACTIVE = "ACTIVE"


class SecurityGroup(Owned):
    """Rules for whom a port may talk to; what no rule of its groups allows is dropped."""

    is_default = models.BooleanField(
        default=False, help_text="ports of the project have it unless they say otherwise"
    )

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [models.Index(fields=["project_id"], name="group_project")]
        constraints = [
            models.UniqueConstraint(
                fields=["project_id"], condition=Q(is_default=True), name="one_default_group_a_project"
            )
        ]


class Direction(models.TextChoices):
    """Which way the first packet goes that a rule lets pass, as its guest sees it."""

    INGRESS = "ingress"
    EGRESS = "egress"


class SecurityGroupRule(Owned):
    """Something that a group lets pass, answers included."""

    group = models.ForeignKey(SecurityGroup, on_delete=models.CASCADE, related_name="rules")
    direction = models.CharField(max_length=8, choices=Direction)
    ip_version = models.IntegerField(default=4)
    protocol = models.CharField(max_length=16, null=True, help_text="a name or a number; none: any")
    port_min = models.IntegerField(null=True, help_text="ICMP: the type")
    port_max = models.IntegerField(null=True, help_text="ICMP: the code")
    remote_prefix = models.CharField(max_length=43, null=True)  # as said: bits may stand behind the prefix
    remote_group = models.ForeignKey(
        SecurityGroup,
        on_delete=models.CASCADE,
        null=True,
        related_name="named_by",
        help_text="its ports' addresses",
    )
    meaning = models.CharField(
        max_length=255, help_text="all that it says in one form, so that it is said once"
    )

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [models.Index(fields=["project_id"], name="rule_project")]
        constraints = [models.UniqueConstraint(fields=["group", "meaning"], name="one_rule_a_meaning")]

    @property
    def normalized_prefix(self) -> str | None:
        """Return the range of addresses that the rule is about, without the bits behind its prefix."""
        if self.remote_prefix is None:
            return None
        return str(ipaddress.ip_network(self.remote_prefix, strict=False))

    def in_one_form(self) -> str:
        """Return all that the rule says, in the form of its `meaning`."""
        carried = protocols.number(self.protocol, self.ip_version)
        remote = self.normalized_prefix or self.remote_group_id or ""
        parts = (self.direction, self.ip_version, carried, self.port_min, self.port_max, remote)
        return " ".join("-" if part is None else str(part) for part in parts)


class Port(Owned):
    """A plug on a network, with its hardware address; a guest's network card, or the network's DHCP server."""

    network = models.ForeignKey(Network, on_delete=models.PROTECT, related_name="ports")
    mac = models.CharField(max_length=17)
    admin_state_up = models.BooleanField(default=True)
    status = models.CharField(max_length=8, choices=PortStatus, default=PortStatus.DOWN)
    device_id = models.CharField(
        max_length=255, blank=True, help_text="as the Network API says; tenants may write it"
    )
    device_owner = models.CharField(max_length=255, blank=True)
    instance_id = models.UUIDField(
        null=True, help_text="the instance that holds the port; only bind writes it"
    )
    made_by_instance = models.BooleanField(default=False, help_text="it goes when the instance lets go of it")
    index = models.IntegerField(default=0, help_text="which of the instance's cards it is")
    tag = models.CharField(max_length=60, blank=True, help_text="the card's role, as the tenant calls it")
    host = models.CharField(max_length=255, blank=True)
    vnic_type = models.CharField(max_length=64, default="normal")
    profile = models.JSONField(default=dict)
    port_security_enabled = models.BooleanField(default=True)
    security_groups = (
        models.JSONField(  # nobody reads it; workers of the version before groups were rows write it
            default=list, db_default=Value([], models.JSONField())
        )
    )
    groups = models.ManyToManyField(SecurityGroup, through="PortGroup", related_name="ports")
    allowed_address_pairs = models.JSONField(default=list)  # [{ip_address, mac_address}]

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(fields=["project_id"], name="port_project"),
            models.Index(fields=["device_id"], name="port_device"),
            models.Index(fields=["instance_id"], name="port_instance"),
            models.Index(fields=["host"], name="port_host"),
        ]
        constraints = [models.UniqueConstraint(fields=["network", "mac"], name="one_mac_a_network")]


class PortAddress(models.Model):
    """An address taken by a port; the unique constraint is what keeps two ports from one address."""

    subnet = models.ForeignKey(Subnet, on_delete=models.PROTECT, related_name="addresses")
    port = models.ForeignKey(Port, on_delete=models.CASCADE, related_name="addresses")
    address = models.CharField(max_length=39)
    offset = models.BigIntegerField(
        null=True, help_text="in the subnet's cidr; none where it takes more than 63 bits"
    )

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "port addresses"
        indexes = [models.Index(fields=["subnet", "offset"], name="address_offset")]
        constraints = [models.UniqueConstraint(fields=["subnet", "address"], name="one_port_an_address")]

    def __str__(self) -> str:
        return self.address


class PortGroup(models.Model):
    """A security group of a port; the group can not go while it is there."""

    port = models.ForeignKey(Port, on_delete=models.CASCADE, related_name="memberships")
    group = models.ForeignKey(SecurityGroup, on_delete=models.PROTECT, related_name="memberships")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["port", "group"], name="one_membership_a_group")]

    def __str__(self) -> str:
        return f"{self.port_id} in {self.group_id}"


class HostWiring(models.Model):
    """A host with wiring: where other hosts reach it, and whether it has followed all changes that concern it."""

    host = models.CharField(max_length=255, primary_key=True)
    underlay_ip = models.CharField(
        max_length=39, blank=True, help_text="its address on the wire between hosts"
    )
    wanted = models.BigIntegerField(default=0, help_text="rises with every change that concerns the host")
    done = models.BigIntegerField(default=0, help_text="what it has followed")

    def __str__(self) -> str:
        return f"{self.host}: {self.done} of {self.wanted}"


class RbacPolicy(models.Model):
    """A thing shared with one project, or with all."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project_id = models.CharField(max_length=64, blank=True, help_text="whose the thing is")
    object_type = models.CharField(max_length=32)  # network, security_group
    object_id = models.UUIDField()
    action = models.CharField(max_length=32)  # access_as_shared, access_as_external
    target = models.CharField(max_length=64, help_text="a project, or * for all")
    created_at = models.DateTimeField(default=utc_now)

    class Meta:
        ordering = ["created_at", "id"]
        verbose_name_plural = "RBAC policies"
        indexes = [models.Index(fields=["object_type", "target"], name="rbac_target")]
        constraints = [
            models.UniqueConstraint(
                fields=["object_type", "object_id", "action", "target"], name="shared_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.object_type} {self.object_id} with {self.target}"
