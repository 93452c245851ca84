"""Where database, broker and API are, as another machine must name them."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from computecloud.cli.failures import Failure

PORTS = {"postgresql": 5432, "postgres": 5432, "redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671}
PORTS |= {"http": 80, "https": 443, "pyamqp": 5672}
FILES = "/var/lib/computecloud/trust"  # where what an address says of certificates is put there


@dataclass(frozen=True, slots=True)
class Place:
    """One address as the other machine sees it, and the files (there: here) that it names."""

    url: str
    files: dict[str, Path]

    @property
    def host(self) -> str:
        """Return the machine."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Return the port."""
        parts = urlsplit(self.url)
        return parts.port or PORTS[parts.scheme]

    def as_user(self, user: str, password: str) -> str:
        """Return the address with other credentials."""
        parts = urlsplit(self.url)
        host = f"[{self.host}]" if ":" in self.host else self.host
        place = f"{quote(user, safe='')}:{quote(password, safe='')}@{host}:{self.port}"
        return urlunsplit(parts._replace(netloc=place))


def elsewhere(url: str, at: str, *, what: str, option: str) -> Place:
    """Return an address of ours with `at` (machine, or machine:port) in it where that is given.

    Raises Failure where only this machine could use it: a socket, or the loopback address.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if at:
        user = parts.netloc.rpartition("@")[0]
        port = "" if _has_port(at) or parts.port is None else f":{parts.port}"
        parts = parts._replace(netloc=f"{user}@{at}{port}" if user else f"{at}{port}")
        query.pop("host", None)
    host = parts.hostname or ""
    if not host or "host" in query or "+socket" in parts.scheme or _is_loopback(host):
        where = host or query.get("host", "a socket")
        raise Failure(
            f"the {what} is at {where}, where no other machine reaches it",
            advice=f"have it listen on an address of the network, and say which: {option} MACHINE:PORT",
        )
    files = {name: Path(value) for name, value in query.items() if _is_file(value)}
    query |= {name: f"{FILES}/{path.name}" for name, path in files.items()}
    moved = urlunsplit(parts._replace(query=urlencode(query, safe="/")))
    return Place(moved, {f"{FILES}/{path.name}": path for path in files.values()})


def _has_port(at: str) -> bool:
    return at.rpartition(":")[2].isdecimal() and not at.endswith("]")


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified


def _is_file(value: str) -> bool:
    return value.startswith("/") and Path(value).is_file()
