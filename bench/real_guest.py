"""What the controller adds to libvirt's own start of a guest, from the steps that each boot's own ledger shows.

Boots guests one after the other on a running cloud, through the OpenStack client library's own calls, and compares
POST to ACTIVE with the time that the step `start` took: that step is libvirt's define and start of the same domain.
"""

import statistics
import sys
import time
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import figures
import openstack

POLL_S = 0.005


def boot(
    cloud: openstack.connection.Connection, wanted: dict[str, str], name: str
) -> tuple[float, dict[str, float]]:
    """Boot and delete a server; returns ms from POST to ACTIVE and the ms of each step."""
    began = time.perf_counter()
    server = cloud.compute.create_server(
        name=name,
        image_id=wanted["image"],
        flavor_id=wanted["flavor"],
        networks=[{"uuid": wanted["network"]}],
    )
    while cloud.compute.get_server(server.id).status == "BUILD":
        time.sleep(POLL_S)
    active_ms = (time.perf_counter() - began) * 1_000
    action = next(one for one in cloud.compute.server_actions(server.id) if one.action == "create")
    events = cloud.compute.get_server_action(action.request_id, server.id).events
    steps = {event["event"]: _ms(event["start_time"], event["finish_time"]) for event in events}
    cloud.compute.delete_server(server.id)
    cloud.compute.wait_for_delete(server, interval=0.2, wait=60)
    return active_ms, steps


def _ms(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1_000


def main() -> None:
    """Run the benchmark against the cloud that --cloud names in clouds.yaml."""
    options = figures.parser(str(__doc__))
    options.add_argument("--cloud", default="computecloud", help="its name in clouds.yaml")
    options.add_argument("--image", default="demo")
    options.add_argument("--flavor", default="m1.nano")
    options.add_argument("--network", default="public")
    options.add_argument("-n", type=int, default=10, help="guests, one after the other")
    wishes = options.parse_args()
    cloud = openstack.connect(cloud=wishes.cloud)
    wanted = {
        "image": cloud.image.find_image(wishes.image, ignore_missing=False).id,
        "flavor": cloud.compute.find_flavor(wishes.flavor, ignore_missing=False).id,
        "network": cloud.network.find_network(wishes.network, ignore_missing=False).id,
    }
    runs = [boot(cloud, wanted, f"bench-{number}") for number in range(wishes.n)]
    table = figures.Figures(
        f"{wishes.n} guests, one after the other: what the controller adds to libvirt's start"
    )
    table.add("POST to ACTIVE", **_summary([active for active, _ in runs]))
    for name in runs[0][1]:
        table.add(f"step {name}", **_summary([steps[name] for _, steps in runs]))
    start = next(name for name in runs[0][1] if name.endswith("start"))
    table.add("added by the controller", **_summary([active - steps[start] for active, steps in runs]))
    table.show(wishes.json)


def _summary(values_ms: list[float]) -> dict[str, float]:
    return {"min ms": min(values_ms), "median ms": statistics.median(values_ms), "max ms": max(values_ms)}


if __name__ == "__main__":
    main()
