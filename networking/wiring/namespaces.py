"""The networks' namespaces on this host: which are there, when that changes, and sockets that listen in one.

A socket keeps the namespace alive in which it was made, also when its name is gone: who listens must look, and close.
"""

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from networking import names
from networking.wiring import links, memory

CLONE_NEWNET = 0x40000000
IP_FREEBIND = 15  # linux/in.h: bind before the link has the address
IN_CHANGES = 0x00000100 | 0x00000200 | 0x00000400  # inotify(7): IN_CREATE, IN_DELETE, IN_DELETE_SELF
BACKLOG = 64

_libc = ctypes.CDLL(None, use_errno=True)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Home:
    """A network's namespace; number tells it from a later one of the same name, while anything keeps it alive."""

    network_id: UUID
    namespace: str
    number: int


def present(tag: str) -> dict[str, Home]:
    """Return the namespaces of the installation's networks on this host by name, as memory and kernel both show."""
    kind = Path("/proc/self/ns/net").stat().st_dev
    found = {}
    for folder in memory.networks(tag):
        network = memory.network_in(folder)
        if network is None or network.namespace != names.network(tag, UUID(network.id)).namespace:
            continue
        try:
            entry = (links.NAMESPACES / network.namespace).stat()
        except FileNotFoundError:
            continue
        if entry.st_dev == kind:
            found[network.namespace] = Home(UUID(network.id), network.namespace, entry.st_ino)
    return found


def half_made(tag: str) -> bool:
    """Tell whether there is a name for a namespace of ours and no namespace behind it yet."""
    prefix = f"{names.PREFIX}{tag}n"
    listed = os.listdir(links.NAMESPACES) if links.NAMESPACES.exists() else []
    return any(name.startswith(prefix) and not links.is_namespace(name) for name in listed)


def watch() -> int:
    """Return a descriptor that is readable when names of namespaces come or go; raises OSError."""
    links.NAMESPACES.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor: int = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    _checked(_libc.inotify_add_watch(descriptor, os.fsencode(links.NAMESPACES), IN_CHANGES))
    return descriptor


def listen(home: Home, address: str, port: int) -> socket.socket:
    """Return a socket that listens at an address in a namespace; raises OSError, also where it is another by now."""

    def make() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
            made.bind((address, port))
            made.listen(BACKLOG)
        except OSError:
            made.close()
            raise
        return made

    return within(home, make)


def answers(home: Home, address: str, port: int, *, timeout_s: float) -> bool:
    """Tell whether somebody takes connections at an address in a namespace."""

    def reach() -> bool:
        try:
            socket.create_connection((address, port), timeout=timeout_s).close()
        except OSError:
            return False
        return True

    return within(home, reach)


def within(home: Home, work: Callable[[], Result]) -> Result:
    """Return what work returns in the namespace, by a thread that enters it and ends there; raises what work raises."""
    results: list[Result] = []
    errors: list[OSError] = []

    def enter() -> None:
        try:
            _enter(home)
            results.append(work())
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=enter, name=f"in {home.namespace}")
    thread.start()
    thread.join()
    for error in errors:
        raise error
    return results[0]


def _enter(home: Home) -> None:
    descriptor = os.open(links.NAMESPACES / home.namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_ino != home.number:
            raise FileNotFoundError(f"{home.namespace} is another namespace by now")
        _checked(_libc.setns(descriptor, CLONE_NEWNET))
    finally:
        os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
