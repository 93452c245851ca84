"""Connections to one libvirtd, each with at most one call in flight, so that no answer waits for another."""

import threading
from collections.abc import Callable
from typing import Any, Final

import libvirt

KEEPALIVE_S: Final = 5
KEEPALIVE_COUNT: Final = 5
"""A libvirtd that is silent for 30 s has lost the connection."""


class Lines:
    """The first line is for the events alone; each of the driver's calls takes another, opened as they are needed.

    libvirt lets threads share a connection: whoever waits on it reads the answers of all. Where one call hangs
    (a guest whose QEMU answers nobody) its client seems to lose a wake-up now and then, seen with 9.0: another's call
    ends only with the connection's next traffic, up to two keepalives later. Hence one call to a line.
    """

    def __init__(self, uri: str, *, lost: Callable[["Lines"], None]) -> None:
        """Open the first line, which may hang; `lost` is told once it breaks. Raises libvirtError."""
        self._uri = uri
        self._idle: list[Any] = []
        self._lock = threading.Lock()
        self._open = True
        self.first = _opened(uri)
        self.first.registerCloseCallback(lambda *_: lost(self), None)

    def is_alive(self) -> bool:
        """Return whether the first line is, as far as is known."""
        first = self.first
        return first is not None and bool(first.isAlive())

    def take(self) -> Any:
        """Return a line that nobody else has; opening one may hang. Raises libvirtError."""
        with self._lock:
            while self._idle:
                # What this replaces is closed here: it is broken, so that waits for nobody.
                line = self._idle.pop()
                if line.isAlive():
                    return line
        return _opened(self._uri)

    def give_back(self, line: Any) -> None:
        """Let the next call have this line, unless it is broken or the lines are closed."""
        with self._lock:
            if self._open and line.isAlive():
                self._idle.append(line)

    def close(self) -> None:
        """Close every line that nobody has, which may hang; one that is given back later is closed then."""
        with self._lock:
            self._open = False
            first, self.first, idle, self._idle = self.first, None, self._idle, []
        try:
            if first is not None:
                first.unregisterCloseCallback()
        finally:
            del first, idle  # closes them, outside the lock


def _opened(uri: str) -> Any:
    line = libvirt.open(uri)
    try:
        line.setKeepAlive(KEEPALIVE_S, KEEPALIVE_COUNT)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
            raise
    return line
