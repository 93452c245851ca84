"""HTTP servers for the APIs, compared on our own POST /servers and GET.

Ours (granian's RSGI), granian's WSGI, gunicorn with threads, uvicorn, waitress.

A cloud that bin/up started (--state-dir) gives database, broker and workers; each server is started beside its own web
server on a port of its own, measured and ended, in turn, `--rounds` times. Gunicorn, uvicorn and waitress come from a
virtual environment that is made for this and thrown away.
"""

import os
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from cloud import ROOT, Cloud, Login, Process, add_options, family, login
from compute_api import Bench, spread, timed
from figures import Figures, parser

GRANIAN = "-m granian --interface wsgi --http 1 --no-ws --host 127.0.0.1 --port {port}"
GUNICORN = "-m gunicorn -k gthread --keep-alive 75 -b 127.0.0.1:{port}"
WSGI, ASGI = "computecloud.wsgi:application", "computecloud_bench_asgi:application"
OURS = "-m computecloud web"
SERVERS = {
    "ours, granian RSGI 1 x 4": f"{OURS} --threads 4",
    "ours, granian RSGI 1 x 2": f"{OURS} --threads 2",
    "ours, granian RSGI 1 x 8": f"{OURS} --threads 8",
    "granian WSGI 1 x 1": f"{GRANIAN} --workers 1 --blocking-threads 1 {WSGI}",
    "granian WSGI 1 x 2": f"{GRANIAN} --workers 1 --blocking-threads 2 {WSGI}",
    "granian WSGI 1 x 4": f"{GRANIAN} --workers 1 --blocking-threads 4 {WSGI}",
    "granian WSGI 1 x 8": f"{GRANIAN} --workers 1 --blocking-threads 8 {WSGI}",
    "granian WSGI 2 x 4": f"{GRANIAN} --workers 2 --blocking-threads 4 {WSGI}",
    "gunicorn gthread 1 x 4": f"{GUNICORN} --workers 1 --threads 4 {WSGI}",
    "gunicorn gthread 2 x 4": f"{GUNICORN} --workers 2 --threads 4 {WSGI}",
    "waitress 4": f"-m waitress --listen=127.0.0.1:{{port}} --threads 4 {WSGI}",
    "uvicorn 1": f"-m uvicorn --host 127.0.0.1 --port {{port}} --log-level warning {ASGI}",
}
ASGI_MODULE = """
from computecloud import lean
lean.keep_out()
from django.core.asgi import get_asgi_application
application = get_asgi_application()
"""


@contextmanager
def environment(state: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Make the throw-away virtual environment; yields its Python and the variables of a web server of the cloud."""
    folder = Path(tempfile.mkdtemp(prefix="computecloud-bench-"))
    try:
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        python = str(folder / "venv" / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "-q", "gunicorn", "uvicorn", "waitress"], check=True)
        (folder / "computecloud_bench_asgi.py").write_text(ASGI_MODULE)
        packages = next((ROOT / ".venv" / "lib").glob("python3*/site-packages"))
        lines = (state / "settings.env").read_text().splitlines()
        settings = dict(shlex.split(line)[0].split("=", 1) for line in lines if line and line[0] != "#")
        paths = os.pathsep.join(map(str, (ROOT, folder, packages)))
        own = {
            "PYTHONPATH": paths,
            "COMPUTECLOUD_ROLE": "web",
            "DJANGO_SETTINGS_MODULE": "computecloud.settings",
        }
        yield python, {**os.environ, **settings, "COMPUTECLOUD_LOG_LEVEL": "warning", **own}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(python: str, variables: dict[str, str], command: str) -> Iterator[tuple[int, Process]]:
    """Run a server; yields its port and process once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [python, *command.format(port=port).split()]
    given = {**variables, "COMPUTECLOUD_WEB_PORT": str(port)}
    server = subprocess.Popen(
        words, env=given, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if server.poll() is not None:
                raise SystemExit(f"it ended at once: {shlex.join(words)}")
            time.sleep(0.1)
        time.sleep(1)
        yield port, Process("server", server.pid)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


def measure(bench: Bench, server: Process, requests: int) -> dict[str, float]:
    """Return the figures of one server: latencies one at a time, rates at 16, its CPU a request, its memory."""
    found: dict[str, float] = {}
    names: list[str] = []

    def post() -> None:
        names.append(bench.boot(bench.own, "bench-http-one", "none"))

    def read() -> None:
        bench.get(f"/servers/{names[0]}")

    def all_posts() -> None:
        spread(bench, 16, range(requests), lambda link, key: bench.boot(link, f"bench-http-{key}", "none"))

    def all_reads() -> None:
        path = f"{bench.cloud.path}/servers/{names[0]}"
        spread(bench, 16, range(4 * requests), lambda link, _: link.ask("GET", path).json())

    for _ in range(10):
        post()
        read()
    bench.wait_until_none("bench-http-", "BUILD")
    found["POST ms"] = statistics.median(_apart(bench, post) for _ in range(requests // 4)) * 1e3
    found["GET ms"] = statistics.median(timed(read) for _ in range(requests)) * 1e3
    for name, work, count in (("POST", all_posts, requests), ("GET", all_reads, 4 * requests)):
        before, start = _cpu_s(server), time.perf_counter()
        work()
        found[f"{name}/s at 16"] = count / (time.perf_counter() - start)
        found[f"{name} cpu ms"] = (_cpu_s(server) - before) * 1e3 / count
        bench.wait_until_none("bench-http-", "BUILD")
    found["list ms"] = (
        statistics.median(timed(lambda: bench.get("/servers/detail?limit=1000")) for _ in range(9)) * 1e3
    )
    found["Pss MiB"] = sum(Process("", pid).memory_mib() for pid in family(server.pid))
    for key in bench.listed("bench-http-", ""):
        bench.own.ask("DELETE", f"{bench.cloud.path}/servers/{key}")
    bench.wait_until_none("bench-http-", "")
    return found


def _apart(bench: Bench, work: Callable[[], None]) -> float:
    """Time the work, and let its boot end before the next."""
    taken = timed(work)
    bench.wait_until_none("bench-http-", "BUILD", pause_s=0.005)
    return taken


def _cpu_s(server: Process) -> float:
    return sum(Process("", pid).cpu_s() for pid in family(server.pid))


def main() -> None:
    """Measure every server in turn, and print the medians of the rounds."""
    options = parser(__doc__ or "")
    add_options(options)
    options.add_argument("--rounds", type=int, default=3, help="times that each server is measured")
    options.add_argument(
        "--requests", type=int, default=100, help="POSTs of a burst; reads are four times as many"
    )
    options.add_argument("--flavor", default="m1.nano", help="name of the flavor")
    options.add_argument("--image", default="demo", help="name of the image")
    options.add_argument("--only", default="", help="measure only servers with this in their names")
    given = options.parse_args()
    who = login(given.state_dir)
    rounds: dict[str, list[dict[str, float]]] = defaultdict(list)
    with environment(given.state_dir) as (python, variables):
        for _ in range(given.rounds):
            for name, command in SERVERS.items():
                if given.only not in name:
                    continue
                with running(python, variables, command) as (port, server):
                    at = urlsplit(who.auth_url)._replace(netloc=f"127.0.0.1:{port}").geturl()
                    cloud = Cloud(Login(at, who.user, who.password, who.project))
                    rounds[name].append(measure(Bench(cloud, Figures(name), given), server, given.requests))
    figures = Figures(f"HTTP servers (workers x threads), medians of {given.rounds} rounds")
    for name, taken in rounds.items():
        figures.add(name, **{key: statistics.median(one[key] for one in taken) for key in taken[0]})
    figures.show(given.json)


if __name__ == "__main__":
    main()
