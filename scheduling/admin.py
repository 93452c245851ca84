"""Nodes, claims and decisions in the operators' pages; all rows are the engine's own."""

from django.contrib import admin
from django.urls import reverse
from django.utils.http import urlencode

from computecloud.pages import panels
from computecloud.pages.panels import SHOWN, Panel
from computecloud.pages.rows import InlineRows, ReadOnlyAdmin
from computecloud.pages.shown import badge, link
from scheduling.models import (
    DISK_GB,
    MEMORY_MB,
    VCPU,
    Allocation,
    Decision,
    GroupMember,
    Inventory,
    Node,
    ServerGroup,
)
from workers.models import Host


class InventoryInline(InlineRows[Inventory, Node]):
    """What a node has."""

    model = Inventory
    can_delete = False
    readonly_fields = ["resource_class", "total", "reserved", "allocation_ratio", "used"]


@admin.register(Node)
class NodeAdmin(ReadOnlyAdmin):
    """The nodes that hosts report."""

    list_display = ["name", "host", "zone", "hypervisor_type", "architecture", "present", "reported_at"]
    list_filter = ["zone", "hypervisor_type", "present"]
    list_select_related = ["host"]
    search_fields = ["name", "host__name"]
    inlines = [InventoryInline]


@admin.register(Allocation)
class AllocationAdmin(ReadOnlyAdmin):
    """Who has claimed what."""

    list_display = ["consumer_id", "node", "resource_class", "amount", "project_id"]
    list_filter = ["resource_class"]
    list_select_related = ["node"]
    search_fields = ["consumer_id", "project_id", "node__name"]


class MemberInline(admin.TabularInline[GroupMember, ServerGroup]):
    """Who is in a group."""

    model = GroupMember
    extra = 0
    can_delete = False
    readonly_fields = ["consumer_id", "user_id", "created_at"]


@admin.register(ServerGroup)
class ServerGroupAdmin(ReadOnlyAdmin):
    """Servers that are to stand together or apart."""

    list_display = ["name", "policy", "max_per_node", "project_id", "created_at"]
    list_filter = ["policy"]
    search_fields = ["name", "project_id", "members__consumer_id"]
    inlines = [MemberInline]


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    """Why a guest is where it is."""

    list_display = ["created_at", "consumer_id", "node", "considered", "removed"]
    search_fields = ["consumer_id", "node"]
    date_hierarchy = "created_at"

    @admin.display(description="removed by rules")
    def removed(self, decision: Decision) -> str:
        """Say in a line what each rule removed."""
        return (
            ", ".join(f"{verdict['rule']}: {verdict['removed']}" for verdict in decision.verdicts) or "none"
        )


def _nodes_of(host: Host) -> Panel:
    rows = []
    for node in Node.objects.filter(host=host).prefetch_related("inventories")[:SHOWN]:
        stocks = {row.resource_class: row for row in node.inventories.all()}
        full = [
            f"{row.used} of {int((row.total - row.reserved) * row.allocation_ratio)}" if row else "-"
            for row in (stocks.get(name) for name in (VCPU, MEMORY_MB, DISK_GB))
        ]
        rows.append(
            (link("scheduling_node", node.pk, node.name), badge("up" if node.present else "gone"), *full)
        )
    address = f"{reverse('admin:scheduling_node_changelist')}?{urlencode({'q': host.name})}"
    headings = ("node", "reported", "processors", "memory MiB", "disk GiB")
    return Panel("Nodes", headings, rows, "It has reported none.", address)


panels.add("workers.Host", _nodes_of, place=1)
