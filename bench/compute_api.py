"""Load on the Compute API as clients see it: tokens, boots one at a time and in bursts, deletes, reads.

It measures the cloud of --state-dir, or with OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and OS_PROJECT_NAME any OpenStack
cloud; the project's quota must not be in the way. All it makes is called bench-… and is deleted again. Client and
servers share the machine. Where the cloud is ours, the CPU of all its processes is told too.
"""

import argparse
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from cloud import Cloud, Connection, add_options, cpu_by_name, login
from figures import Figures, parser, percentile

POLL_S = 0.005
GIVE_UP_S = 600.0


@dataclass
class Bench:
    """What all measurements share."""

    cloud: Cloud
    figures: Figures
    given: argparse.Namespace
    flavor_id: str = ""
    image_id: str = ""

    def __post_init__(self) -> None:
        """Look up what is booted."""
        self.own = self.cloud.connect()
        flavors = self.get("/flavors")["flavors"]
        self.flavor_id = next(
            (one["id"] for one in flavors if one["name"] == self.given.flavor), self.given.flavor
        )
        self.image_id = self.cloud.image_id(self.given.image)

    def get(self, path: str) -> Any:
        """Return what the Compute API says at a path."""
        return self.own.ask("GET", self.cloud.path + path).json()

    def boot(self, connection: Connection, name: str, networks: str, count: int = 1) -> str:
        """Ask for servers; returns the id of the first."""
        server: dict[str, Any] = {
            "name": name, "flavorRef": self.flavor_id, "imageRef": self.image_id, "networks": networks,
        }  # fmt: skip
        if count > 1:
            server |= {"min_count": count, "max_count": count}
        answer = connection.ask("POST", f"{self.cloud.path}/servers", {"server": server})
        return str(answer.json()["server"]["id"])

    def listed(self, name: str, status: str) -> list[str]:
        """Return the ids of the servers of this name and status."""
        query = f"/servers?limit=1000&name={name}" + (f"&status={status}" if status else "")
        return [server["id"] for server in self.get(query)["servers"]]

    def wait_until_none(self, name: str, status: str, pause_s: float = 0.05) -> None:
        """Wait until no server of this name has this status; a server in ERROR ends the program."""
        deadline = time.monotonic() + GIVE_UP_S
        while self.listed(name, status):
            if time.monotonic() > deadline:
                raise SystemExit(f"servers {name} are still {status} after {GIVE_UP_S:.0f} s")
            time.sleep(pause_s)
        if failed := self.listed(name, "ERROR"):
            raise SystemExit(f"{len(failed)} servers are in ERROR, such as {failed[0]}")

    @contextmanager
    def cpu(self, count: int) -> Iterator[dict[str, float]]:
        """Fill in CPU ms for each of `count` by the parts of the cloud."""
        taken: dict[str, float] = {}
        before = cpu_by_name(self.given.state_dir)
        yield taken
        after = cpu_by_name(self.given.state_dir)
        parts = {name: (seconds - before.get(name, 0.0)) * 1e3 / count for name, seconds in after.items()}
        if parts:
            taken |= {"cpu_ms": sum(parts.values())}
            taken |= {f"{name}_ms": ms for name, ms in parts.items() if name in ("web", "control", "host")}

    def add(self, what: str, seconds: Iterable[float], **more: Any) -> None:
        """Add a row of latencies."""
        taken = sorted(seconds)
        self.figures.add(
            what,
            n=len(taken),
            p50_ms=statistics.median(taken) * 1e3,
            p99_ms=percentile(taken, 99) * 1e3,
            **more,
        )


def tokens(bench: Bench) -> None:
    """Log in, one at a time."""
    bench.add("token", [timed(bench.cloud.issue_token) for _ in range(bench.given.single)])


def one_at_a_time(bench: Bench, networks: str) -> None:
    """Boot a server, wait until it is ACTIVE, delete it, wait until it is gone."""
    posts, actives, deletes, gones = [], [], [], []
    for number in range(bench.given.single + 3):  # the first three warm up
        start = time.perf_counter()
        server_id = bench.boot(bench.own, f"bench-single-{number}", networks)
        posted = time.perf_counter()
        until_active(bench, server_id)
        active = time.perf_counter()
        bench.own.ask("DELETE", f"{bench.cloud.path}/servers/{server_id}")
        deleted = time.perf_counter()
        _wait_for(bench, server_id, "gone")
        if number >= 3:
            posts.append(posted - start)
            actives.append(active - start)
            deletes.append(deleted - active)
            gones.append(time.perf_counter() - active)
    bench.add(f"POST /servers, networks {networks}", posts)
    bench.add(f"POST until ACTIVE, networks {networks}", actives)
    bench.add(f"DELETE, networks {networks}", deletes)
    bench.add(f"DELETE until gone, networks {networks}", gones)


def burst(bench: Bench, networks: str) -> None:
    """Boot many servers at once until all are ACTIVE, and delete them until all are gone."""
    count, width, name = bench.given.boots, bench.given.concurrency, f"bench-burst-{networks}-"
    with bench.cpu(count) as cpu:
        start = time.perf_counter()
        posts = spread(
            bench, width, range(count), lambda link, number: bench.boot(link, f"{name}{number}", networks)
        )
        bench.wait_until_none(name, "BUILD")
        wall_s = time.perf_counter() - start
    bench.add(f"{count} boots at {width}, networks {networks}", posts, per_s=count / wall_s, **cpu)
    remove(bench, name, f"{count} deletes at {width}, networks {networks}")


def remove(bench: Bench, name: str, what: str) -> None:
    """Delete the servers of this name until all are gone."""
    ids = bench.listed(name, "")
    with bench.cpu(len(ids)) as cpu:
        start = time.perf_counter()
        path = f"{bench.cloud.path}/servers/"
        taken = spread(bench, bench.given.concurrency, ids, lambda link, key: link.ask("DELETE", path + key))
        bench.wait_until_none(name, "")
        wall_s = time.perf_counter() - start
    bench.add(what, taken, per_s=len(ids) / wall_s, **cpu)


def reads(bench: Bench) -> None:
    """Fill the cloud by requests for many servers each, and read."""
    fill, each, name = bench.given.fill, 100, "bench-fill-"
    with bench.cpu(fill) as cpu:
        start = time.perf_counter()
        posts = [
            timed(partial(bench.boot, bench.own, f"{name}{number}", "none", each))
            for number in range(fill // each)
        ]
        bench.wait_until_none(name, "BUILD")
        wall_s = time.perf_counter() - start
    bench.add(f"{fill} boots, {each} a POST, networks none", posts, per_s=fill / wall_s, **cpu)
    some = bench.listed(name, "")[fill // 2]
    for path, times in (
        ("/servers/detail?limit=1000", 40),
        ("/servers/detail?limit=50", 100),
        ("/servers?limit=1000", 60),
        (f"/servers/{some}", 200),
        ("/flavors/detail", 200),
        ("/limits", 200),
    ):
        with bench.cpu(times + 1) as cpu:
            bench.get(path)
            taken = [timed(partial(bench.own.ask, "GET", bench.cloud.path + path)) for _ in range(times)]
        shown = path.replace(some, "{id}")
        bench.add(f"GET {shown}, {fill} servers", taken, per_s=len(taken) / sum(taken), **cpu)
    remove(bench, name, f"{fill} deletes at {bench.given.concurrency}, networks none")


def until_active(bench: Bench, server_id: str) -> None:
    """Wait until a server is ACTIVE; one in ERROR ends the program."""
    _wait_for(bench, server_id, "ACTIVE")


def _wait_for(bench: Bench, server_id: str, wanted: str) -> None:
    deadline = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline:
        answer = bench.own.ask("GET", f"{bench.cloud.path}/servers/{server_id}")
        if answer.status == 404 and wanted == "gone":
            return
        status = answer.json()["server"]["status"]
        if status == wanted:
            return
        if status == "ERROR":
            raise SystemExit(f"server {server_id} is in ERROR: {answer.json()['server'].get('fault')}")
        time.sleep(POLL_S)
    raise SystemExit(f"server {server_id} is not {wanted} after {GIVE_UP_S:.0f} s")


def spread(
    bench: Bench, width: int, items: Iterable[Any], work: Callable[[Connection, Any], Any]
) -> list[float]:
    """Do the work for every item, so many at once, each thread on a connection of its own; returns the latencies."""
    taken: list[float] = []
    left, guard = iter(items), threading.Lock()

    def go_on() -> None:
        link = bench.cloud.connect()
        while True:
            with guard:
                item = next(left, None)
            if item is None:
                return link.close()
            taken.append(timed(partial(work, link, item)))

    threads = [threading.Thread(target=go_on) for _ in range(width)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def timed(work: Callable[[], Any]) -> float:
    """Return how long the work takes, in seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def add_boot_options(parser: argparse.ArgumentParser) -> None:
    """Let the user say what is booted."""
    parser.add_argument("--flavor", default="m1.nano", help="name of the flavor")
    parser.add_argument("--image", default="demo", help="name of the image")


def main() -> None:
    """Measure, and print what was found."""
    options = parser(__doc__ or "")
    add_options(options)
    add_boot_options(options)
    options.add_argument("--single", type=int, default=40, help="boots one at a time")
    options.add_argument("--boots", type=int, default=200, help="boots of a burst")
    options.add_argument("--concurrency", type=int, default=16, help="requests at once in a burst")
    options.add_argument(
        "--fill", type=int, default=1000, help="servers present while reading; 0: no reading"
    )
    options.add_argument("--networks", nargs="+", default=["none", "auto"], choices=["none", "auto"])
    given = options.parse_args()
    bench = Bench(Cloud(login(given.state_dir)), Figures("The Compute API under load"), given)
    tokens(bench)
    for networks in given.networks:
        one_at_a_time(bench, networks)
    for networks in given.networks:
        burst(bench, networks)
    if given.fill:
        reads(bench)
    bench.figures.show(given.json)


if __name__ == "__main__":
    main()
