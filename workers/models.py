"""What the engine remembers: hosts, subjects and their locks, operations, the runs of their steps, footprints."""

import uuid
from datetime import datetime

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.expressions import RawSQL

from workers import clock


def utc_now() -> datetime:
    """Return the present moment, aware."""
    return clock.moment(clock.now())


class Host(models.Model):
    """A machine (or proxy) with one worker process and its queue."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=255, unique=True)
    epoch = models.BigIntegerField(default=0, help_text="rises each time a worker process takes the host")
    counter = models.BigIntegerField(default=0, help_text="raised by the worker's heartbeat thread")
    worker = models.CharField(max_length=255, blank=True, help_text="the process that holds the host")
    alive = models.BooleanField(default=False, help_text="what the observer of the counters concludes")
    enabled = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=255, blank=True)
    forced_down = models.BooleanField(default=False)
    echo_sent = models.BigIntegerField(
        default=0, help_text="number of the last echo put into the host's queue"
    )
    echo_heard = models.BigIntegerField(default=0, help_text="number of the last echo that came through it")
    heartbeat_at = models.DateTimeField(null=True)
    seen_counter = models.BigIntegerField(null=True, help_text="the counter when the observers looked last")
    looked_at_s = models.FloatField(null=True, help_text="when they did, by the database's clock")
    silent_s = models.FloatField(
        default=0.0, db_default=0.0, help_text="for how long they have watched it stand still"
    )
    boot_id = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="of the machine, when it was taken last",
    )
    created_at = models.DateTimeField(default=utc_now)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_up(self) -> bool:
        """Tell whether operations may be sent to this host."""
        return self.alive and not self.forced_down

    @property
    def queue(self) -> str:
        """Return the name of the queue that the host's worker reads."""
        return f"host.{self.name}"

    @property
    def queues(self) -> tuple[str, ...]:
        """Return every queue that the host's worker reads."""
        return (self.queue, f"{self.queue}.slow")


class Enrolment(models.Model):
    """How a host on another machine was set up: by whom it is reached, and under which accounts its worker works."""

    host = models.CharField(primary_key=True, max_length=255, help_text="its name")
    machine = models.CharField(max_length=255)
    port = models.IntegerField(default=22)
    user = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64, help_text="of the machine's SSH key")
    database_role = models.CharField(max_length=63)
    broker_user = models.CharField(max_length=255, blank=True)
    finished = models.BooleanField(default=False, help_text="its worker was heard")
    created_at = models.DateTimeField(default=utc_now)

    class Meta:
        ordering = ["host"]

    def __str__(self) -> str:
        return f"{self.host} at {self.user}@{self.machine}"


class Pulse(models.Model):
    """When something that is to happen again and again did so last, such as beat's ringing."""

    name = models.CharField(primary_key=True, max_length=64)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%H:%M:%S}"


class MachineClock(models.Model):
    """How far a machine's wall clock was ahead of its monotonic one when that was looked at last."""

    name = models.CharField(primary_key=True, max_length=255)
    boot_id = models.CharField(max_length=64)
    offset_s = models.FloatField()

    def __str__(self) -> str:
        return f"{self.name}: {self.offset_s:.1f} s"


class Subject(models.Model):
    """A thing that operations lock; whoever holds a lower epoch may no longer act on it."""

    id = models.UUIDField(primary_key=True)
    type = models.CharField(max_length=32)
    epoch = models.BigIntegerField(default=1)
    deleting = models.BooleanField(default=False)
    holder = models.UUIDField(null=True, help_text="the operation that holds the subject alone")
    sharers = models.IntegerField(default=0, help_text="how many operations hold it together")

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class State(models.TextChoices):
    """The states of an operation; the first three are active."""

    PENDING = "pending"
    RUNNING = "running"
    UNDOING = "undoing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE = (State.PENDING.value, State.RUNNING.value, State.UNDOING.value)
# The same for a filter, in the words of the indexes: SQLite does not use a partial index for a parameter. It names the
# table, so it is not for a query inside a query on operations.
IS_ACTIVE = RawSQL("workers_operation.state IN ('pending', 'running', 'undoing')", (), models.BooleanField())


class Operation(models.Model):
    """One accepted request to change subjects; the outbox, the ledger and the action that the tenant sees."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=64)
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    subject_type = models.CharField(max_length=32)
    subject_id = models.UUIDField()
    project_id = models.CharField(max_length=64, blank=True)
    user_id = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    params = models.JSONField(default=dict)
    results = models.JSONField(default=dict, help_text="what each finished step returned, by its name")
    host = models.CharField(
        max_length=255, null=True, help_text="where its host steps run, once that is known"
    )
    cursor = models.IntegerField(default=0, help_text="number of the step that is next, or running")
    attempt = models.IntegerField(default=0, help_text="how often the step at the cursor was taken")
    round = models.IntegerField(default=1, help_text="how often the workflow was begun, after undoing it all")
    admitted = models.BooleanField(default=True, help_text="false while the tenant has enough in the queues")
    lease_token = models.CharField(max_length=32, null=True)
    lease_worker = models.CharField(max_length=255, blank=True)
    lease_until = models.FloatField(default=0, help_text="seconds since 1970, as are the next three")
    leased_at = models.FloatField(default=0)
    dispatched_at = models.FloatField(default=0)
    run_after = models.FloatField(default=0)
    deadline = models.FloatField(default=0)
    rings = models.IntegerField(default=0, help_text="how often the sweeper published it again at this step")
    # The next three have defaults in the database: workers of the version before write rows without them.
    cancelled_by = models.CharField(
        max_length=255, blank=True, default="", db_default="", help_text="who asked for its end"
    )
    waits_for = models.CharField(
        max_length=255, blank=True, default="", db_default="", help_text="why its step looks again later"
    )
    slow = models.BooleanField(
        default=False, db_default=False, help_text="its step is for the host's slow queue"
    )
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(default=utc_now)
    updated_at = models.DateTimeField(default=utc_now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["subject_id", "-created_at"], name="operation_subject"),
            models.Index(fields=["dispatched_at"], name="operation_active", condition=Q(state__in=ACTIVE)),
            models.Index(
                fields=["project_id"],
                name="operation_of_tenant",
                condition=Q(admitted=True, state__in=ACTIVE),
            ),
            models.Index(
                fields=["project_id", "created_at"],
                name="operation_waiting",
                condition=Q(admitted=False, state=State.PENDING.value),
            ),
            models.Index(fields=["request_id"], name="operation_request"),
            models.Index(
                fields=["lease_token"], name="operation_leased", condition=Q(lease_token__isnull=False)
            ),
            # What has ended has indexes of its own: one on all of a tenant's SQLite would take for admission too.
            models.Index(
                fields=["finished_at"], name="operation_ended", condition=Q(finished_at__isnull=False)
            ),
            models.Index(
                fields=["project_id", "-created_at"],
                name="operation_ended_of_tenant",
                condition=Q(finished_at__isnull=False),
            ),
            models.Index(
                fields=["-created_at"], name="operation_ended_newest", condition=Q(finished_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_type} {self.subject_id}"


class ArchivedOperation(models.Model):
    """An operation that ended long ago, with the runs of its steps; workers.archive moves it here."""

    id = models.UUIDField(primary_key=True, editable=False)
    kind = models.CharField(max_length=64)
    state = models.CharField(max_length=16, choices=State)
    subject_type = models.CharField(max_length=32)
    subject_id = models.UUIDField()
    project_id = models.CharField(max_length=64, blank=True)
    user_id = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    params = models.JSONField(default=dict)
    results = models.JSONField(default=dict)
    host = models.CharField(max_length=255, null=True)
    round = models.IntegerField(default=1)
    cancelled_by = models.CharField(max_length=255, blank=True)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    runs = models.JSONField(default=list, help_text="the attempts at its steps, in order")

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["subject_id", "-created_at"], name="archived_subject"),
            models.Index(fields=["request_id"], name="archived_request"),
            models.Index(fields=["project_id", "-created_at"], name="archived_by_project"),
            models.Index(fields=["-created_at"], name="archived_newest"),
            models.Index(fields=["finished_at"], name="archived_finished"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_type} {self.subject_id}"


class SubjectLock(models.Model):
    """What an active operation holds; gone when the operation has ended and no step of it runs."""

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="locks")
    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="locks")
    epoch = models.BigIntegerField()
    exclusive = models.BooleanField(default=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["operation", "subject"], name="one_lock_a_subject")]

    def __str__(self) -> str:
        return f"{self.subject_id} by {self.operation_id}"


class StepRun(models.Model):
    """One attempt at one step, as it ended."""

    class Outcome(models.TextChoices):
        """How an attempt ended; lost: its worker died or its lease ran out."""

        SUCCESS = "success"
        ERROR = "error"
        LOST = "lost"

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="runs")
    step = models.CharField(max_length=64)
    undo = models.BooleanField(default=False)
    attempt = models.IntegerField()
    worker = models.CharField(max_length=255, blank=True)
    host = models.CharField(max_length=255, blank=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    outcome = models.CharField(max_length=8, choices=Outcome)
    error = models.TextField(blank=True)
    traceback = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{'undo ' if self.undo else ''}{self.step} {self.outcome}"


class Footprint(models.Model):
    """The durable note, made before the effect, of a thing that a step makes; its row goes when the thing is gone."""

    class State(models.TextChoices):
        """How far the thing has come, or gone."""

        PLANNED = "planned"
        MADE = "made"
        REMOVING = "removing"

    subject_id = models.UUIDField(db_index=True)
    operation_id = models.UUIDField()
    step = models.CharField(max_length=64)
    kind = models.CharField(max_length=32)
    host = models.CharField(max_length=255, blank=True)
    name = models.CharField(max_length=255)
    state = models.CharField(max_length=8, choices=State, default=State.PLANNED)
    created_at = models.DateTimeField(default=utc_now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subject_id", "kind", "host", "name"], name="footprint_once")
        ]
        indexes = [models.Index(fields=["host"], name="footprint_host")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name} on {self.host} ({self.state})"


class Secret(models.Model):
    """Secret parameters of an operation, encrypted; erased when it ends."""

    operation = models.OneToOneField(Operation, on_delete=models.CASCADE, primary_key=True)
    ciphertext = models.BinaryField()

    def __str__(self) -> str:
        return f"secret of {self.operation_id}"


class IdempotencyKey(models.Model):
    """A caller's name for one POST, so that a second one with it is answered and not done again."""

    user_id = models.CharField(max_length=64)
    project_id = models.CharField(max_length=64, blank=True)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="of method, path, version and body")
    request_id = models.CharField(max_length=64, help_text="of the request that does the work")
    holder = models.CharField(
        max_length=32, help_text="that request's token: without it nothing is committed"
    )
    taken_at = models.FloatField(help_text="when the holder began; seconds since 1970")
    begun = models.BooleanField(default=False, help_text="written with the first of what the request writes")
    status = models.IntegerField(null=True, help_text="of the answer; none while there is no answer")
    headers = models.JSONField(default=dict)
    body = models.TextField(blank=True)
    withheld = models.CharField(
        max_length=255, blank=True, help_text="what was made, where it holds a secret"
    )
    created_at = models.DateTimeField(default=utc_now, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user_id", "project_id", "key"], name="idempotency_key_once")
        ]

    def __str__(self) -> str:
        return f"{self.request_id} of {self.user_id}"


class Inquiry(models.Model):
    """A question to a host's worker that the web process waits for, such as the end of a guest's console log."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.CharField(max_length=255)
    kind = models.CharField(max_length=64)
    params = models.JSONField(default=dict)
    answer = models.JSONField(null=True)
    error = models.TextField(blank=True)
    answered = models.BooleanField(default=False)
    asked_at = models.DateTimeField(default=utc_now)

    def __str__(self) -> str:
        return f"{self.kind} at {self.host}"


class AuditSchedule(models.Model):
    """How often an audit is due, and when it was rung for last; beat's ring is one conditional update of this row."""

    name = models.CharField(primary_key=True, max_length=64)
    every_s = models.PositiveIntegerField(
        "every (s)", validators=[MinValueValidator(10)], help_text="seconds between two runs, 10 or more"
    )
    enabled = models.BooleanField(default=True)
    rung_at = models.FloatField(default=0, help_text="seconds since 1970")
    rung_by = models.CharField(max_length=255, blank=True, default="")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class AuditRun(models.Model):
    """One look of an audit, at the cloud or at one host; one that found nothing is replaced by the next."""

    class State(models.TextChoices):
        """How far a look has come; lost: its worker died while it was mending."""

        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        SKIPPED = "skipped"
        LOST = "lost"

    audit = models.CharField(max_length=64)
    host = models.CharField(max_length=255, blank=True, default="", help_text="empty: a control worker")
    state = models.CharField(max_length=8, choices=State)
    why = models.CharField(max_length=255, help_text="schedule, or who asked for it")
    found = models.IntegerField(default=0)
    mended = models.IntegerField(default=0)
    said = models.TextField(blank=True, default="", help_text="what it did, or why it could not")
    started_at = models.DateTimeField(default=utc_now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-started_at", "-id"]
        indexes = [
            models.Index(fields=["audit", "host"], name="audit_run_of_host"),
            models.Index(fields=["-started_at"], name="audit_run_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.audit} {self.host or 'control'}"


class Finding(models.Model):
    """A difference between intent and fact, with its cause; written before it is mended, so that none goes unseen."""

    run = models.ForeignKey(
        AuditRun,
        null=True,
        on_delete=models.CASCADE,
        related_name="findings",
        help_text="none: outside of a run",
    )
    audit = models.CharField(max_length=64)
    subject = models.CharField(max_length=255)
    what = models.TextField()
    cause = models.TextField(blank=True, default="", db_default="")
    mended = models.BooleanField(default=True, db_default=True)
    advice = models.TextField(
        blank=True, default="", db_default="", help_text="what mends it, where nobody has"
    )
    created_at = models.DateTimeField(default=utc_now, db_index=True)

    class Meta:
        db_table = "workers_mend"
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.audit}: {self.what}"
