from django.core.validators import MinValueValidator
from django.db import migrations, models

import workers.models


class Migration(migrations.Migration):
    dependencies = [("workers", "0007_pulse")]

    operations = [
        migrations.CreateModel(
            name="AuditSchedule",
            fields=[
                ("name", models.CharField(max_length=64, primary_key=True, serialize=False)),
                (
                    "every_s",
                    models.PositiveIntegerField(
                        help_text="seconds between two runs, 10 or more",
                        validators=[MinValueValidator(10)],
                        verbose_name="every (s)",
                    ),
                ),
                ("enabled", models.BooleanField(default=True)),
                ("rung_at", models.FloatField(default=0, help_text="seconds since 1970")),
                ("rung_by", models.CharField(blank=True, default="", max_length=255)),
            ],
            options={"ordering": ["name"]},
        ),
        migrations.CreateModel(
            name="AuditRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("audit", models.CharField(max_length=64)),
                (
                    "host",
                    models.CharField(blank=True, default="", help_text="empty: a control worker", max_length=255),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("skipped", "Skipped"),
                            ("lost", "Lost"),
                        ],
                        max_length=8,
                    ),
                ),
                ("why", models.CharField(help_text="schedule, or who asked for it", max_length=255)),
                ("found", models.IntegerField(default=0)),
                ("mended", models.IntegerField(default=0)),
                ("said", models.TextField(blank=True, default="", help_text="what it did, or why it could not")),
                ("started_at", models.DateTimeField(default=workers.models.utc_now)),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["-started_at", "-id"],
                "indexes": [
                    models.Index(fields=["audit", "host"], name="audit_run_of_host"),
                    models.Index(fields=["-started_at"], name="audit_run_newest"),
                ],
            },
        ),
        # The table keeps its name: workers of the version before write to it while both run.
        migrations.AlterModelTable("Mend", "workers_mend"),
        migrations.RenameModel("Mend", "Finding"),
        migrations.AddField(
            "finding",
            "run",
            models.ForeignKey(
                help_text="none: outside of a run",
                null=True,
                on_delete=models.deletion.CASCADE,
                related_name="findings",
                to="workers.auditrun",
            ),
        ),
        migrations.AddField("finding", "cause", models.TextField(blank=True, db_default="", default="")),
        migrations.AddField("finding", "mended", models.BooleanField(db_default=True, default=True)),
        migrations.AddField(
            "finding",
            "advice",
            models.TextField(blank=True, db_default="", default="", help_text="what mends it, where nobody has"),
        ),
    ]
