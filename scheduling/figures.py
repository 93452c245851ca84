"""What Prometheus is told of capacity, summed by the database."""

from collections.abc import Iterable

from computecloud import metrics
from computecloud.metrics import Gauge, Reading
from workers import sql

TOTAL = Gauge(
    "computecloud_capacity_total",
    "What may be claimed on nodes of hosts that are up, by class.",
    ("resource_class",),
)
USED = Gauge(
    "computecloud_capacity_used",
    "What is claimed on nodes of hosts that are up, by class.",
    ("resource_class",),
)

_SUMS = """
SELECT i.resource_class, sum((i.total - i.reserved) * i.allocation_ratio), sum(i.used)
FROM scheduling_inventory i JOIN scheduling_node n ON n.id = i.node_id JOIN workers_host h ON h.id = n.host_id
WHERE n.present AND h.alive AND NOT h.forced_down GROUP BY i.resource_class
"""


def read() -> Iterable[Reading]:
    """Yield the capacity that is there and that is used; one query."""
    for resource_class, total, used in sql.fetch(_SUMS, {}):
        yield Reading(TOTAL, (resource_class,), float(total))
        yield Reading(USED, (resource_class,), float(used))


metrics.register((TOTAL, USED), read)
