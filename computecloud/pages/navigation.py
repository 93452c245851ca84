"""What stands at the side of every page: the models, by what an operator comes for; who may not see one has no link."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

SECTIONS = (
    (
        "Cloud",
        (
            ("Servers", "dns", "instances.instance"),
            ("Hosts", "host", "workers.host"),
            ("Nodes", "memory", "scheduling.node"),
            ("Images", "album", "images.image"),
            ("Flavors", "tune", "instances.flavor"),
            ("Key pairs", "key", "instances.keypair"),
        ),
    ),
    (
        "Work",
        (
            ("Operations", "sync", "workers.operation"),
            ("Archive", "inventory_2", "workers.archivedoperation"),
            ("Decisions", "alt_route", "scheduling.decision"),
            ("Footprints", "footprint", "workers.footprint"),
            ("Claims", "pie_chart", "scheduling.allocation"),
        ),
    ),
    (
        "Audits",
        (
            ("Schedule", "schedule", "workers.auditschedule"),
            ("Runs", "fact_check", "workers.auditrun"),
            ("Findings", "healing", "workers.finding"),
        ),
    ),
    (
        "Networks",
        (
            ("Networks", "lan", "networking.network"),
            ("Subnets", "account_tree", "networking.subnet"),
            ("Ports", "cable", "networking.port"),
        ),
    ),
    (
        "Tenants",
        (
            ("Projects", "apartment", "identity.project"),
            ("Users", "person", "identity.user"),
            ("Groups", "group", "identity.group"),
            ("Roles of users", "badge", "identity.roleassignment"),
            ("Quotas", "speed", "quotas.projectusage"),
            ("Quota defaults", "tune", "quotas.quotaclass"),
        ),
    ),
)


def sections(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sections with the links that this user may follow."""
    shown = []
    for title, entries in SECTIONS:
        items = [
            {
                "title": words,
                "icon": icon,
                "link": reverse(f"admin:{model.replace('.', '_')}_changelist"),
                "permission": _may_see(model),
            }
            for words, icon, model in entries
            if _may_see(model)(request)
        ]
        if items:
            shown.append({"title": title, "separator": True, "items": items})
    first = {"title": "How the cloud is", "icon": "monitoring", "link": reverse("admin:index")}
    return [{"title": "", "items": [first]}, *shown]


def _may_see(model: str) -> Callable[[HttpRequest], bool]:
    room, name = model.split(".")
    return lambda request: (
        request.user.has_perm(f"{room}.view_{name}") or request.user.has_perm(f"{room}.change_{name}")
    )
