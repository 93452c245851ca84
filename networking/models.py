"""What is known of networks: their subnets, ports and the addresses taken."""

import uuid

from django.db import models
from django.db.models import Q

from workers.models import utc_now


class Installation(models.Model):
    """The one row that says what this cloud's things are called on hosts; the same for all its hosts."""

    tag = models.CharField(max_length=3)

    def __str__(self) -> str:
        return self.tag


class Tenant(models.Model):
    """A project's row to write first when it makes something counted: so two requests count one after the other."""

    project_id = models.CharField(max_length=64, primary_key=True)
    made = models.BigIntegerField(default=0, help_text="how often something was made; rises only")

    def __str__(self) -> str:
        return self.project_id


class Owned(models.Model):
    """What every thing of the Network API has."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project_id = models.CharField(max_length=64, blank=True)
    name = models.CharField(max_length=255, blank=True)
    description = models.CharField(max_length=255, blank=True)
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
    security_groups = models.JSONField(default=list)
    allowed_address_pairs = models.JSONField(default=list)

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
