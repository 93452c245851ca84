"""bin/test soak --seed S --minutes M: random operations and random faults; at the end nothing may be left.

The exit code is 0 where every fault struck, nothing was ever broken, nothing is left over and doctor agrees.
"""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from computecloud.config import ROOT
from tests.soak import plan

PAGE = ROOT / "docs" / "fault-matrix.md"
FAKE_HOSTS = 3
# A soak of half an hour is to have so many; a shorter one as many for its time.
WANTED_IN_HALF_AN_HOUR = {"operations": 2_000, "faults": 500}
HOST_CALLS = ("create_disks", "start", "guest", "destroy", "remove_disks")
REAL_SHUTDOWN_S = "20"


def options(words: list[str]) -> argparse.Namespace:
    """Return what the user asked for."""
    parser = argparse.ArgumentParser(prog="bin/test soak", description=__doc__)
    parser.add_argument("--seed", default=str(time.time_ns() % 10**9), help="what makes the schedule")
    parser.add_argument("--minutes", type=float, default=30.0, help="length of the schedule")
    parser.add_argument("--driver", choices=("fake", "libvirt"), default="fake")
    parser.add_argument("--json", type=Path, help="append the figures to this file, one line a soak")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page that gets the figures")
    parser.add_argument("--no-page", action="store_true", help="write no page")
    parser.add_argument("--keep", type=Path, help="folder that gets logs and database, whatever happens")
    parser.add_argument("--plan", action="store_true", help="print the schedule and do nothing")
    return parser.parse_args(words)


def shape_of(chosen: argparse.Namespace) -> plan.Shape:
    """Return what the schedule is made for; the gates come from the registry of workflows."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "computecloud.settings")
    os.environ.setdefault("COMPUTECLOUD_SECRET_KEY", "only to read the registry of workflows, never to sign")
    import django

    django.setup()
    from workers import testing, workflow

    flows = [flow for kind, flow in sorted(workflow.registered().items()) if kind in plan.KINDS]
    steps = [point for flow in flows for point in testing.points(flow)]
    calls = [f"{call}.{side}" for call in HOST_CALLS for side in ("enter", "leave")]
    hosts = FAKE_HOSTS if chosen.driver == "fake" else 1
    undo = testing.undo_points(workflow.get("create"))
    return plan.Shape(chosen.seed, chosen.minutes, chosen.driver, hosts, tuple(steps + calls), tuple(undo))


def main(words: list[str]) -> int:
    """Run a soak, or print its schedule."""
    chosen = options(words)
    shape = shape_of(chosen)
    events = plan.schedule(shape)
    if chosen.plan:
        sys.stdout.write("".join(f"{event}\n" for event in events))
        return 0
    from tests.cloud.cloud import Cloud
    from tests.cloud.conftest import PACKAGES, _folder, _free_port, _free_range
    from tests.soak import page
    from tests.soak.run import Soak, failures_of

    began = time.monotonic()

    def tell(line: str) -> None:
        sys.stdout.write(f"[seed {chosen.seed} {time.monotonic() - began:6.0f} s] {line}\n")
        sys.stdout.flush()

    host = "fake-1" if chosen.driver == "fake" else os.uname().nodename
    cloud = Cloud(_folder("soak"), chosen.driver, _free_port(), host)
    cloud.settings["FAKE_DELAY_S"] = "0.05"
    if chosen.driver == "libvirt":
        cloud.settings |= {"PUBLIC_CIDR": _free_range(), "SHUTDOWN_TIMEOUT_S": REAL_SHUTDOWN_S}
        if PACKAGES.is_dir():
            shutil.copytree(PACKAGES, cloud.state / "cache" / "demo-packages")
    tell(f"{len(events)} events; the cloud's state is in {cloud.state}")
    soak = Soak(cloud, events, tell)
    try:
        cloud.up(*(("--hosts", str(shape.hosts)) if chosen.driver == "fake" else ()))
        soak.run()
    finally:
        if chosen.keep:
            shutil.copytree(
                cloud.state, chosen.keep, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock")
            )
        cloud.purge()
    share = chosen.minutes / 30
    wanted = {name: int(least * share) for name, least in WANTED_IN_HALF_AN_HOUR.items()}
    failures = failures_of(soak, wanted if chosen.driver == "fake" else {})
    found = page.figures(shape, soak, failures)
    sys.stdout.write(page.summary(found) + "\n")
    if chosen.json:
        with chosen.json.open("a") as file:
            file.write(page.as_json(found) + "\n")
    if not chosen.no_page:
        page.write(chosen.page, [found])
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
