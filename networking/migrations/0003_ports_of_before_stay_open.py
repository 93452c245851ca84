"""Ports that are older than security groups keep what they had: everything passes. A group of each project says so."""

from uuid import UUID, uuid5

from django.db import migrations


def keep_open(apps, _schema_editor):
    """Put every port that has port security, and is of no group, in a group of its project that lets all pass."""
    Port, Group, Rule, PortGroup = (
        apps.get_model('networking', name) for name in ('Port', 'SecurityGroup', 'SecurityGroupRule', 'PortGroup')
    )
    older = Port.objects.filter(port_security_enabled=True, memberships=None).exclude(device_owner='network:dhcp')
    for project_id in set(older.values_list('project_id', flat=True)):
        group, is_new = Group.objects.get_or_create(
            id=uuid5(UUID(int=0), f'open security group of {project_id}'),
            defaults={
                'project_id': project_id,
                'name': 'open',
                'description': 'Everything passes, as it did before there were security groups',
            },
        )
        if is_new:
            Rule.objects.bulk_create(
                Rule(group=group, project_id=project_id, direction=direction, ip_version=version,
                     meaning=f'{direction} {version} - - - ')
                for direction in ('ingress', 'egress') for version in (4, 6)
            )
        ports = older.filter(project_id=project_id).values_list('pk', flat=True)
        PortGroup.objects.bulk_create([PortGroup(port_id=port, group=group) for port in ports], batch_size=1_000)


class Migration(migrations.Migration):

    dependencies = [
        ('networking', '0002_security_groups'),
    ]

    operations = [
        migrations.RunPython(keep_open, migrations.RunPython.noop),
    ]
