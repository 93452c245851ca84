"""A day's reads and a busy neighbour, on a cloud with many servers and nodes: bin/up --driver fake --nodes 1000.

Hypervisors and servers are read while nothing else happens and while another project boots; a small project's boot is
timed alone and beside a big one's; at last the idle cloud's CPU. Client and servers share the machine. All it makes is
called bench-… and is deleted again; the quota of the admin's project must not be in the way.
"""

import argparse
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cloud import Cloud, add_options, cpu_by_name, login
from compute_api import Bench, add_boot_options, remove, timed, until_active
from figures import Figures, parser

EACH = 100  # servers a POST


def hypervisors(bench: Bench) -> None:
    """Read all nodes, in as many pages as it takes."""
    count = len(bench.get("/os-hypervisors?limit=1000")["hypervisors"])
    read(bench, "/os-hypervisors/detail?limit=1000", 20, f"GET /os-hypervisors/detail, {count} hypervisors")


def read(bench: Bench, path: str, times: int, what: str) -> None:
    """Ask for a path again and again."""
    bench.get(path)
    bench.add(
        what, [timed(lambda: bench.own.ask("GET", bench.cloud.path + path).json()) for _ in range(times)]
    )


def fill(bench: Bench, count: int, name: str) -> str:
    """Boot servers without networks, and return the id of one when all are there."""
    for number in range(count // EACH):
        bench.boot(bench.own, f"{name}{number}", "none", EACH)
    bench.wait_until_none(name, "BUILD")
    return bench.listed(name, "")[count // 2]


def servers(bench: Bench, some: str, when: str) -> None:
    """Read one server and the list of all."""
    read(bench, f"/servers/{some}", 200, f"GET /servers/{{id}}, {when}")
    read(bench, "/servers/detail?limit=1000", 40, f"GET /servers/detail?limit=1000, {when}")


@contextmanager
def boots(bench: Bench, per_s: float, name: str) -> Iterator[None]:
    """Have a thread boot so many servers a second, on a connection of its own."""
    enough, made = threading.Event(), 0

    def go_on() -> None:
        nonlocal made
        link, began = bench.cloud.connect(), time.monotonic()
        while not enough.wait(max(0.0, began + made / per_s - time.monotonic())):
            bench.boot(link, f"{name}{made}", "none")
            made += 1
        bench.figures.add("boots meanwhile", n=made, per_s=made / (time.monotonic() - began))

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()
    bench.wait_until_none(name, "BUILD")
    remove(bench, name, f"their deletes at {bench.given.concurrency}")


def neighbours(bench: Bench, small: Bench) -> None:
    """Boot one server of a small project alone, and right after a big one asked for many."""
    name = "bench-crowd-"

    def active_s() -> float:
        began = time.perf_counter()
        server_id = small.boot(small.own, "bench-neighbour", "none")
        until_active(small, server_id)
        taken = time.perf_counter() - began
        small.own.ask("DELETE", f"{small.cloud.path}/servers/{server_id}")
        return taken

    active_s()  # the first warms up
    alone = [active_s() for _ in range(5)]
    bench.add("boot of a small project, alone, until ACTIVE", alone)
    for number in range(bench.given.crowd // EACH):
        bench.boot(bench.own, f"{name}{number}", "none", EACH)
    beside = []
    while bench.listed(name, "BUILD"):
        beside.append(active_s())
    bench.add(f"the same beside {bench.given.crowd} boots of another", beside)
    remove(bench, name, f"{bench.given.crowd} deletes at {bench.given.concurrency}")
    small.wait_until_none("bench-neighbour", "")


def idle(bench: Bench, count: int) -> None:
    """Watch the CPU of all processes while nobody asks for anything."""
    time.sleep(5)  # what was asked last is over
    before, began = cpu_by_name(bench.given.state_dir), time.monotonic()
    time.sleep(bench.given.idle_s)
    taken, after = time.monotonic() - began, cpu_by_name(bench.given.state_dir)
    shares = {name: (seconds - before.get(name, 0.0)) / taken * 1e3 for name, seconds in after.items()}
    bench.figures.add(f"idle with {count} servers, thousandths of a core", millicores=sum(shares.values()))
    for name, share in shares.items():
        bench.figures.add(f"of it {name}", millicores=share)


def main() -> None:
    """Measure, and print what was found."""
    options = parser(__doc__ or "")
    add_options(options)
    add_boot_options(options)
    options.add_argument("--servers", type=int, default=1000, help="servers that are there")
    options.add_argument("--crowd", type=int, default=500, help="boots of the big project")
    options.add_argument("--boots-per-s", type=float, default=20.0, help="boots while reading")
    options.add_argument("--concurrency", type=int, default=16, help="deletes at once")
    options.add_argument("--idle-s", type=float, default=60.0, help="how long the idle cloud is watched")
    given = options.parse_args()
    bench = _bench(given, "computecloud-admin")
    hypervisors(bench)
    neighbours(bench, _bench(given, "computecloud"))
    some = fill(bench, given.servers, "bench-fill-")
    servers(bench, some, f"{given.servers} servers")
    with boots(bench, given.boots_per_s, "bench-meanwhile-"):
        servers(bench, some, f"beside {given.boots_per_s:g} boots/s")
    idle(bench, given.servers)
    remove(bench, "bench-fill-", f"{given.servers} deletes at {given.concurrency}")
    bench.figures.show(given.json)


def _bench(given: argparse.Namespace, cloud: str) -> Bench:
    return Bench(Cloud(login(given.state_dir, cloud)), Figures("A day's reads, and a busy neighbour"), given)


if __name__ == "__main__":
    main()
