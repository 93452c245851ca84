"""Networks in the operators' pages: read only, for addresses and wiring change together through the API alone."""

from django.contrib import admin

from computecloud.pages.rows import InlineRows, ReadOnlyRows, Rows
from networking.models import Network, Port, PortAddress, Subnet


class SubnetInline(ReadOnlyRows, InlineRows[Subnet, Network]):
    """A network's subnets."""

    model = Subnet
    fields = ["cidr", "gateway_ip", "enable_dhcp", "dhcp_address", "pools"]


class AddressInline(ReadOnlyRows, InlineRows[PortAddress, Port]):
    """A port's addresses."""

    model = PortAddress
    fields = ["address", "subnet"]


@admin.register(Network)
class NetworkAdmin(ReadOnlyRows, Rows[Network]):
    """Networks of all projects."""

    list_display = ["name", "id", "project_id", "shared", "external", "is_auto", "mtu", "vni", "created_at"]
    list_filter = ["shared", "external", "is_auto", "created_at"]
    search_fields = ["id", "name", "project_id", "subnets__cidr"]
    inlines = [SubnetInline]


@admin.register(Subnet)
class SubnetAdmin(ReadOnlyRows, Rows[Subnet]):
    """Subnets of all projects, with where their next address comes from."""

    list_display = ["cidr", "name", "id", "network", "gateway_ip", "enable_dhcp", "dhcp_address", "cursor"]
    list_filter = ["ip_version", "enable_dhcp"]
    search_fields = ["id", "name", "cidr", "project_id", "network__name"]
    list_select_related = ["network"]


@admin.register(Port)
class PortAdmin(ReadOnlyRows, Rows[Port]):
    """Ports of all projects, with who holds them and where."""

    list_display = [
        "id",
        "name",
        "network",
        "mac",
        "status",
        "host",
        "device_owner",
        "instance_id",
        "project_id",
    ]
    list_filter = ["status", "host", "device_owner", "made_by_instance"]
    search_fields = ["id", "name", "mac", "device_id", "project_id", "addresses__address"]
    list_select_related = ["network"]
    inlines = [AddressInline]
