"""computecloud web: the web server in the foreground, as the supervisor runs it."""

import ctypes
import os
import signal
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from computecloud.cli.installation import find

TARGET = "computecloud.rsgi:application"
PR_SET_PDEATHSIG = 1


@click.command("web")
@click.option(
    "--threads", type=click.IntRange(1, 64), default=4, show_default=True, help="Requests answered at once."
)
def command(threads: int) -> None:
    """Serve every API and the admin pages until told to stop."""
    installation = find()
    installation.enter({**installation.settings(), "ROLE": "web"})
    serve(threads=threads)


def serve(*, threads: int) -> None:
    """Run granian with one worker process; HTTP/1 alone, static files straight from their folder."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces

    from computecloud.config import CONFIG

    server = Granian(
        TARGET,
        address=CONFIG.web_host,
        port=CONFIG.web_port,
        interface=Interfaces.RSGI,
        workers=1,
        http=HTTPModes.http1,
        websockets=False,
        static_path_route=["/static"],
        static_path_mount=[Path(CONFIG.state / "static")],
        ssl_cert=Path(CONFIG.web_tls_certificate) if CONFIG.web_tls_certificate else None,
        ssl_key=Path(CONFIG.web_tls_key) if CONFIG.web_tls_key else None,
    )
    server.serve(target_loader=Loader(os.getpid(), threads=threads))


class Loader:
    """Loads the application in the worker process, which dies with the server process that is its parent.

    Granian's worker would live on as an orphan that still takes connections.
    """

    def __init__(self, server_pid: int, *, threads: int) -> None:
        self._server_pid, self._threads = server_pid, threads

    def __call__(self, target: str) -> Any:
        """Return what the function named by module:name makes."""
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._server_pid:
            raise SystemExit("the server process is gone")
        module, _, name = target.partition(":")
        return getattr(import_module(module), name)(threads=self._threads)
