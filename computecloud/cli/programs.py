"""The processes of an installation, as a table, and supervisord's configuration made from it."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

from computecloud.cli.failures import Failure
from computecloud.cli.installation import HOSTS, PARTS, PREFIX, ROOT, Installation

COMMAND = (sys.executable, "-m", "computecloud")
LIBVIRTD_SEES = {"": "libvirt", "/passwd": "passwd", "/group": "group"}  # from its folder, in /etc
SOCKET_PATH_MAX = 100  # a unix socket's path has at most 107 bytes; supervisord adds a suffix while it binds
THREADS = {"libvirt": 16, "fake": 4}


@dataclass(frozen=True, slots=True)
class Program:
    """A process under the supervisor; priority orders starts (rising) and stops (falling)."""

    name: str
    command: tuple[str, ...]
    priority: int
    environment: dict[str, str] = field(default_factory=dict)
    stop_s: int = 10
    at_once: bool = True  # else `up` starts it when what it needs is up


def programs(installation: Installation, settings: dict[str, str], *, own_libvirtd: bool) -> list[Program]:
    """Return what an installation with these settings consists of."""
    hosts = [_host(name, settings["DRIVER"]) for name in host_names(settings)]
    found = list(hosts)
    if settings.get(PARTS) != "host":
        found += [_web(), _control(), _beat()]
        if not settings.get("BROKER_URL"):
            found.append(_redis(installation))
    if settings["DRIVER"] != "fake":  # fake guests have no network to ask in
        found += [_metadata(name) for name in host_names(settings)]
    if own_libvirtd:
        found.append(libvirtd(installation))
    return sorted(found, key=lambda program: (program.priority, program.name))


def host_names(settings: dict[str, str]) -> list[str]:
    """Return the names of this machine's host workers: its own, or fake-1, fake-2, …"""
    if settings["DRIVER"] == "fake":
        return [f"fake-{number}" for number in range(1, int(settings.get(HOSTS, "1")) + 1)]
    return [settings.get("HOST_NAME") or os.uname().nodename]


def which(name: str, package: str) -> str:
    """Return the path of a program; raises Failure naming the package that has it."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise Failure(
            f"{name} is not installed", advice=f"run bin/up, which installs it, or: apt-get install {package}"
        )
    return path


def configuration(installation: Installation, wanted: Iterable[Program]) -> str:
    """Return supervisord's configuration; raises Failure where the state folder's path is too long for a socket."""
    socket = str(installation.run / "supervisor.sock")
    if len(socket.encode()) > SOCKET_PATH_MAX:
        raise Failure(f"the path {socket} is too long for a socket", advice="choose a shorter --state-dir")
    log = installation.log
    sections = [
        _section("unix_http_server", file=socket, chmod="0700"),
        _section(
            "supervisord",
            logfile=log / "supervisord.log",
            logfile_maxbytes="1MB",
            logfile_backups=1,
            loglevel="info",
            pidfile=installation.run / "supervisord.pid",
            directory=ROOT,
            **({"user": "root"} if os.geteuid() == 0 else {}),
        ),
        "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n",
        *(_program(program, log / f"{program.name}.log") for program in wanted),
    ]
    return "\n".join(sections)


def _section(title: str, **values: object) -> str:
    lines = [f"{key} = {str(value).replace('%', '%%')}\n" for key, value in values.items()]
    return f"[{title}]\n" + "".join(lines)


def _program(program: Program, log: object) -> str:
    environment = ",".join(f'{key}="{value}"' for key, value in program.environment.items())
    return _section(
        f"program:{program.name}",
        command=shlex.join(program.command),
        priority=program.priority,
        environment=environment,
        directory=ROOT,
        autostart=str(program.at_once).lower(),
        autorestart="true",
        startsecs=1,
        startretries=1_000_000,  # for ever, after pauses that grow: who gives up needs a person at night
        stopwaitsecs=program.stop_s,
        redirect_stderr="true",
        stdout_logfile=log,
        stdout_logfile_maxbytes="10MB",
        stdout_logfile_backups=2,
    )


def libvirtd(installation: Installation) -> Program:
    """Our own libvirtd, on the usual socket; it sees our configuration where the machine's would be."""
    folder = str(installation.state / "libvirt")
    mounts = [f'mount --bind "$0{source}" /etc/{target}' for source, target in LIBVIRTD_SEES.items()]
    start = 'exec "$1" --config /etc/libvirt/libvirtd.conf'
    # In a chroot, / may be no mount that could be made private.
    script = f"mount --make-rprivate / 2>/dev/null; {' && '.join([*mounts, start])}"
    libvirtd = which("libvirtd", "libvirt-daemon")
    words = ("--mount", "--propagation", "unchanged", "sh", "-c", script, folder, libvirtd)
    return Program("libvirtd", (which("unshare", "util-linux"), *words), priority=10)


def _redis(installation: Installation) -> Program:
    options = {
        "port": "0",
        "unixsocket": str(installation.run / "redis.sock"),
        "unixsocketperm": "700",
        "dir": str(installation.state / "redis"),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "set-proc-title": "no",
    }
    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    return Program("redis", (which("redis-server", "redis-server"), *words), priority=20)


def _web() -> Program:
    return Program("web", (*COMMAND, "web", "--threads", "4"), priority=50, stop_s=20)


def _control() -> Program:
    return Program("control", (*COMMAND, "worker", "control", "--threads", "2"), priority=40, stop_s=20)


def _host(name: str, driver: str) -> Program:
    command = (*COMMAND, "worker", "host", "--threads", str(THREADS[driver]))
    environment = {f"{PREFIX}HOST_NAME": name}
    return Program(f"host-{name}", command, 30, environment, stop_s=20, at_once=driver == "fake")


def _metadata(host: str) -> Program:
    return Program("metadata", (*COMMAND, "metadata"), 35, {f"{PREFIX}HOST_NAME": host})


def _beat() -> Program:
    return Program("beat", (*COMMAND, "beat"), priority=60)
