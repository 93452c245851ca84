"""The first page: how the cloud is at this moment, read from every room in a fixed number of queries."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Q, Sum
from django.urls import reverse
from django.utils.safestring import SafeString

from computecloud.pages import charts
from computecloud.pages.charts import AMBER, BLUE, GREEN, RED, Column, Part
from computecloud.pages.panels import Panel
from computecloud.pages.shown import badge, link, since
from instances.models import Instance
from instances.states import VmState
from scheduling.models import DISK_GB, MEMORY_MB, VCPU, Inventory
from workers import audits, selectors, waiting
from workers.models import IS_ACTIVE, AuditRun, Host, Operation, State, utc_now

HOURS = 24
LISTED = 8
REASONS_OF = 2_000  # failures that are read to count their reasons
CLASSES = {VCPU: ("Processors", ""), MEMORY_MB: ("Memory", "GiB"), DISK_GB: ("Disk", "TiB")}
_NAMES = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b")
_NUMBERS = re.compile(r"\d+(?:\.\d+)?")
_past_hours: dict[datetime, tuple[int, int]] = {}  # an hour that is over does not change


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with what it means; mood colours it."""

    words: str
    number: Any
    mood: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """How full something is."""

    words: str
    said: str
    chart: SafeString


@dataclass(frozen=True, slots=True)
class FirstPage:
    """What the first page shows."""

    figures: list[Figure]
    capacity: list[Share]
    boots: SafeString
    booted: int
    failed: int
    waiting: Panel
    failures: list[tuple[str, int, SafeString]]
    audits: Panel
    at: datetime = field(default_factory=utc_now)


def page() -> FirstPage:
    """Read all of it."""
    hours = boots_per_hour(utc_now())
    boots = [
        Column(
            f"{hour:%H}" if index % 3 == 0 else "",
            (Part(f"{hour:%H} h, booted", well, BLUE), Part(f"{hour:%H} h, failed", badly, RED)),
        )
        for index, (hour, (well, badly)) in enumerate(hours.items())
    ]
    return FirstPage(
        figures=_figures(),
        capacity=_capacity(),
        boots=charts.columns("Boots in each of the last 24 hours", boots),
        booted=sum(well for well, _ in hours.values()),
        failed=sum(badly for _, badly in hours.values()),
        waiting=_waiting(),
        failures=_failures(),
        audits=_audits(),
    )


def _figures() -> list[Figure]:
    up = Q(alive=True, forced_down=False)
    hosts = Host.objects.aggregate(
        up=Count("id", filter=up & Q(enabled=True)),
        down=Count("id", filter=~up),
        disabled=Count("id", filter=up & Q(enabled=False)),
    )
    living = Instance.objects.filter(deleted=False).values_list("vm_state").order_by().annotate(Count("id"))
    servers = Counter(dict(living))
    active = Operation.objects.filter(IS_ACTIVE).count()
    broken = servers[VmState.ERROR.value]
    return [
        Figure("hosts up", hosts["up"], "good", "workers_host_changelist"),
        Figure("hosts down", hosts["down"], "bad" if hosts["down"] else "", "workers_host_changelist"),
        Figure("disabled", hosts["disabled"], "warn" if hosts["disabled"] else "", "workers_host_changelist"),
        Figure("servers", sum(servers.values()), "", "instances_instance_changelist"),
        Figure("in error", broken, "bad" if broken else "", "instances_instance_changelist"),
        Figure("operations at work", active, "", "workers_operation_changelist"),
    ]


def _capacity() -> list[Share]:
    """Return how full the nodes of hosts are that take guests, by resource class."""
    takes = Inventory.objects.filter(
        node__present=True, node__host__alive=True, node__host__forced_down=False, node__host__enabled=True
    )
    sums = (
        takes.values("resource_class")
        .order_by("resource_class")
        .annotate(taken=Sum("used"), all=Sum((F("total") - F("reserved")) * F("allocation_ratio")))
    )
    found = {row["resource_class"]: (row["taken"], row["all"]) for row in sums}
    shares = []
    for name, (words, unit) in CLASSES.items():
        taken, whole = (amount / (1_024 if unit else 1) for amount in found.get(name, (0, 0)))
        full = taken / whole if whole else 0.0
        colour = RED if full > 0.9 else AMBER if full > 0.75 else GREEN
        said = f"{_rounded(taken)} of {_rounded(whole)}{f' {unit}' if unit else ''}, {full:.0%}"
        shares.append(
            Share(
                words, said, charts.share(f"{words}: {said}", [Part(f"{words} taken", taken, colour)], whole)
            )
        )
    return shares


def _rounded(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 100 or amount == int(amount) else f"{amount:,.1f}"


def boots_per_hour(now: datetime) -> dict[datetime, tuple[int, int]]:
    """Return for each of the last 24 hours how many boots ended well and how many failed; past hours are remembered."""
    this = now.replace(minute=0, second=0, microsecond=0)
    hours = [this - timedelta(hours=back) for back in reversed(range(HOURS))]
    for gone in [hour for hour in _past_hours if hour < hours[0]]:
        del _past_hours[gone]
    found = {}
    for hour in hours:
        counted = _past_hours.get(hour) or _boots(hour)
        if hour < this - timedelta(hours=1):  # a transaction of the last hour may be on its way
            _past_hours[hour] = counted
        found[hour] = counted
    return found


def _boots(hour: datetime) -> tuple[int, int]:
    ended = Operation.objects.filter(
        finished_at__gte=hour, finished_at__lt=hour + timedelta(hours=1), kind="create"
    )
    counted = ended.aggregate(
        well=Count("id", filter=Q(state=State.SUCCEEDED)), badly=Count("id", filter=Q(state=State.FAILED))
    )
    return counted["well"], counted["badly"]


def _waiting() -> Panel:
    """Return the active operations that were accepted first, with why each does not run."""
    found = list(Operation.objects.filter(IS_ACTIVE).order_by("created_at")[:LISTED])
    reasons = waiting.of_many(found)
    rows = [
        (
            link("workers_operation", one.pk, one.kind),
            badge(one.state),
            selectors.step_of(one) or "",
            one.host or "",
            since(one.created_at.timestamp()),
            reasons[one.id].reason if one.id in reasons else "it runs",
        )
        for one in found
    ]
    headings = ("operation", "state", "step", "host", "age", "why")
    address = reverse("admin:workers_operation_changelist")
    return Panel("Stuck or waiting, oldest first", headings, rows, "Nothing waits.", address)


def reason(error: str) -> str:
    """Return an error without ids and numbers, so that those of one cause are the same."""
    return _NUMBERS.sub("n", _NAMES.sub("…", error.splitlines()[0] if error else "no reason given"))[:140]


def _failures() -> list[tuple[str, int, SafeString]]:
    """Return the reasons of the failures of the last 24 hours, most frequent first, each with a bar."""
    failed = Operation.objects.filter(finished_at__gte=utc_now() - timedelta(hours=HOURS), state=State.FAILED)
    errors = failed.order_by("-finished_at").values_list("kind", "error")[:REASONS_OF]
    counted = Counter(f"{kind}: {reason(error)}" for kind, error in errors)
    most = max(counted.values(), default=1)
    return [
        (words, count, charts.share(f"{words}: {count}", [Part(words, count, RED)], most))
        for words, count in counted.most_common(LISTED)
    ]


def _audits() -> Panel:
    """Return the newest run of each audit, wherever it ran, and what was found in the last day."""
    day = utc_now() - timedelta(hours=HOURS)
    rows = AuditRun.objects.filter(started_at__gte=day).values("audit").order_by("audit")
    summed = {
        row["audit"]: row
        for row in rows.annotate(
            found_sum=Sum("found"),
            mended_sum=Sum("mended"),
            bad=Count("id", filter=Q(state__in=(AuditRun.State.FAILED, AuditRun.State.LOST))),
            skipped=Count("id", filter=Q(state=AuditRun.State.SKIPPED)),
        )
    }
    shown = []
    for schedule in audits.schedules():
        seen = summed.get(schedule.name, {"found_sum": 0, "mended_sum": 0, "bad": 0, "skipped": 0})
        state = (
            "off"
            if not schedule.enabled
            else "failed"
            if seen["bad"]
            else "done"
            if schedule.rung_at
            else "new"
        )
        ago = f"{since(schedule.rung_at)}\u00a0ago" if schedule.rung_at else "never"
        shown.append(
            (
                link("workers_auditschedule", schedule.pk, schedule.name),
                badge(state),
                ago,
                seen["found_sum"],
                seen["mended_sum"],
                seen["skipped"],
            )
        )
    headings = ("audit", "state", "last rung", "found in a day", "mended", "skipped")
    return Panel("Audits", headings, shown, link=reverse("admin:workers_auditrun_changelist"))
