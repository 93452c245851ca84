from django.db import migrations
from django.db.models import F


def charge(apps, _schema_editor):
    """Charge the groups that are there to their projects, whatever the limits."""
    charges = apps.get_model("quotas", "Charge").objects
    usages = apps.get_model("quotas", "ProjectUsage").objects
    for group in apps.get_model("scheduling", "ServerGroup").objects.order_by("created_at"):
        _, is_new = charges.get_or_create(
            consumer_id=group.id,
            defaults={
                "project_id": group.project_id,
                "instances": 0,
                "cores": 0,
                "ram_mib": 0,
                "server_groups": 1,
            },
        )
        if is_new:
            usages.get_or_create(
                project_id=group.project_id,
                defaults={"instances_limit": None, "cores_limit": None, "ram_mib_limit": None},
            )
            usages.filter(project_id=group.project_id).update(server_groups=F("server_groups") + 1)


def release(apps, _schema_editor):
    """Forget the charges of groups; what was counted goes with its column."""
    apps.get_model("quotas", "Charge").objects.filter(server_groups__gt=0).delete()
    apps.get_model("quotas", "ProjectUsage").objects.update(server_groups=0)


class Migration(migrations.Migration):

    dependencies = [
        ("quotas", "0002_limits_and_tallies"),
        ("scheduling", "0002_server_groups"),
    ]

    operations = [migrations.RunPython(charge, release)]
