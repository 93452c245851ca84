import images.states
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0001_initial'),
    ]

    operations = [
        migrations.AlterField(
            model_name='image',
            name='disk_format',
            field=models.CharField(blank=True, choices=[(images.states.DiskFormat['QCOW2'], images.states.DiskFormat['QCOW2']), (images.states.DiskFormat['RAW'], images.states.DiskFormat['RAW']), (images.states.DiskFormat['AMI'], images.states.DiskFormat['AMI']), (images.states.DiskFormat['AKI'], images.states.DiskFormat['AKI']), (images.states.DiskFormat['ARI'], images.states.DiskFormat['ARI'])], max_length=16, null=True),
        ),
    ]
