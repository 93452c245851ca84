"""Nodes, claims and decisions in the operators' pages; all rows are the engine's own."""

from django.contrib import admin

from scheduling.models import Allocation, Decision, GroupMember, Inventory, Node, ServerGroup
from workers.admin import ReadOnlyAdmin


class InventoryInline(admin.TabularInline[Inventory, Node]):
    """What a node has."""

    model = Inventory
    extra = 0
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
