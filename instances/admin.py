"""Servers, flavors and key pairs in the operators' pages; a server is read only, its states belong to the engine."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode

from computecloud.pages import panels
from computecloud.pages.acts import Act, Asked
from computecloud.pages.panels import SHOWN, Panel
from computecloud.pages.rows import InlineRows, ReadOnlyAdmin, Rows
from computecloud.pages.shown import badge, link
from instances.models import Flavor, FlavorSharing, Instance, KeyPair
from instances.services import repair
from instances.states import VmState, status
from workers.models import Host


def _reset(to: VmState) -> Callable[[Instance, Asked], str]:
    def do(instance: Instance, asked: Asked) -> str:
        repair.reset_state(instance_id=instance.id, to=to, by=asked.by)
        return f"Server {instance.name} ({instance.id}) is {to.value}."

    return do


@admin.register(Instance)
class InstanceAdmin(ReadOnlyAdmin):
    """Servers, with the way to what was done to each."""

    exclude = ["guest_password"]
    list_display = ["name", "id", "shown_status", "task_state", "host", "node", "project_id", "created_at"]
    show_full_result_count = False
    acts = [
        Act(
            f"reset-{to.value}",
            f"Reset state to {to.value}",
            "Its state is set by your word; no guest is touched. While an operation is at work this is refused.",
            _reset(to),
            asks="What makes you sure?",
            applies=lambda instance: not instance.deleted,
        )
        for to in (VmState.ACTIVE, VmState.ERROR)
    ]
    list_filter = ["vm_state", "task_state", "deleted", "host", "availability_zone"]
    search_fields = ["id", "name", "hostname", "project_id", "user_id", "reservation_id"]
    date_hierarchy = "created_at"
    list_per_page = 50
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "id",
                    "name",
                    "description",
                    "guest",
                    "project_id",
                    "user_id",
                    "reservation_id",
                    "history",
                ]
            },
        ),
        (
            "State",
            {"fields": ["shown_status", "vm_state", "task_state", "power_state", "fault", "locked_by"]},
        ),
        ("Place", {"fields": ["host", "node", "availability_zone", "pinned_zone", "scheduler_hints"]}),
        (
            "Made of",
            {"fields": ["flavor_id", "flavor", "image_id", "image_properties", "key_name", "config_drive"]},
        ),
        (
            "Seen by its tenant",
            {"fields": ["hostname", "addresses", "metadata", "tags", "security_groups", "volumes"]},
        ),
        ("Times", {"fields": ["created_at", "updated_at", "launched_at", "terminated_at", "deleted_at"]}),
    ]

    @admin.display(description="status")
    def shown_status(self, instance: Instance) -> str:
        """Return the status that the API shows."""
        return badge(status(instance.vm_state, instance.task_state).lower())

    @admin.display(description="guest")
    def guest(self, instance: Instance) -> str:
        """Return the guest's name on its node."""
        return instance.instance_name

    @admin.display(description="history")
    def history(self, instance: Instance) -> str:
        """Return links to the operations on this server, and to why it is where it is."""
        operations = reverse("admin:workers_operation_changelist")
        archived = reverse("admin:workers_archivedoperation_changelist")
        decisions = reverse("admin:scheduling_decision_changelist")
        return format_html(
            '<a href="{}?subject_id={}">operations</a> · <a href="{}?subject_id={}">archived operations</a> · '
            '<a href="{}?consumer_id={}">decisions</a>',
            operations,
            instance.id,
            archived,
            instance.id,
            decisions,
            instance.id,
        )


class AccessInline(InlineRows[FlavorSharing, Flavor]):
    """The projects that a flavor is opened to; the API opens it to more."""

    model = FlavorSharing
    extra = 0
    fields = readonly_fields = ("project_id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[FlavorSharing]:
        """Return the rows with their projects."""
        return super().get_queryset(request).select_related("group")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody is added here."""
        return False


@admin.register(Flavor)
class FlavorAdmin(Rows[Flavor]):
    """Flavors; sizes are fixed once servers may have been made with them."""

    list_display = ["name", "flavorid", "vcpus", "ram", "disk", "ephemeral", "swap", "is_public", "disabled"]
    list_filter = ["is_public", "disabled"]
    search_fields = ["name", "flavorid"]
    inlines = [AccessInline]
    fixed = ["flavorid", "name", "ram", "disk", "vcpus", "swap", "ephemeral", "rxtx_factor", "created_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Return what can not be changed in a flavor that exists."""
        return self.fixed if obj else ["created_at"]


@admin.register(KeyPair)
class KeyPairAdmin(ReadOnlyAdmin):
    """Public keys of users."""

    list_display = ["name", "user_id", "type", "fingerprint", "created_at"]
    list_filter = ["type"]
    search_fields = ["name", "user_id", "fingerprint"]


def _guests_of(host: Host) -> Panel:
    found = Instance.objects.filter(host=host.name, deleted=False).order_by("-created_at")[:SHOWN]
    rows = [
        (
            link("instances_instance", one.pk, one.name),
            one.id,
            badge(status(one.vm_state, one.task_state).lower()),
            one.node,
            one.project_id,
            f"{one.created_at:%Y-%m-%d %H:%M}",
        )
        for one in found.defer("user_data")
    ]
    listed = urlencode({"host": host.name, "deleted__exact": "0"})
    address = f"{reverse('admin:instances_instance_changelist')}?{listed}"
    return Panel("Guests", ("server", "id", "status", "node", "project", "made"), rows, link=address)


panels.add("workers.Host", _guests_of, place=2)
