"""The way to libvirtd, which is there whenever libvirtd is: opened late, kept alive, opened again.

Opening may hang as any call may, so a thread of its own does it. Once a call has overrun, libvirtd is doubted: calls
fail at once until the call that overran returns, or a fresh connection is open.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache, partial
from typing import Any, TypeVar
from uuid import UUID

import libvirt
import structlog

from hypervisors.driver import CallOverran, HypervisorUnavailable
from hypervisors.libvirt import errors
from hypervisors.libvirt.lines import Lines
from hypervisors.libvirt.timed import TimedCalls

T = TypeVar("T")
Prepare = Callable[[Any], Callable[[], None]]
log = structlog.get_logger()

SLOTS = 16
JOB_SLOTS = 4  # apart from the others: a job may last for as long as a guest's memory takes to a disk
RETRY_S = 1.0  # between attempts to open
PATIENCE_S = 3.0  # callers wait this long for an attempt to open, counted from its start


class Connection:
    """Calls libvirt with time limits, each call on a line of its own.

    What a call gets from its line (a domain) belongs to that line and stays within the call. `prepare` is run on the
    first line whenever libvirtd is reached afresh, what it returns before that line is closed.
    """

    def __init__(self, uri: str, *, limit_s: float, prepare: Prepare = lambda _: _nothing) -> None:
        self._uri = uri
        self._limit_s = limit_s
        self._prepare = prepare
        self._calls = TimedCalls(SLOTS)
        self._jobs = TimedCalls(JOB_SLOTS)
        self._changed = threading.Condition()
        self._lines: Lines | None = None
        self._release: Callable[[], None] = _nothing
        self._doubted = False
        self._closed = False
        self._opening = False
        self._hurry = False
        self._attempts = 0
        self._attempt_began = 0.0
        self._reason = ""

    def call(self, what: str, work: Callable[[Any], T], *, limit_s: float | None = None) -> T:
        """Return work(connection). Let work change one thing at most: its outcome is unknown when it overruns.

        Raises HypervisorUnavailable (nothing was done), CallOverran, and what errors.translate makes of libvirt's.
        """
        limit_s = limit_s or self._limit_s
        lines = self._usable(limit_s)
        try:
            return self._calls.run(what, partial(self._on_a_line, what, lines, work), limit_s)
        except CallOverran as overrun:
            self._doubt(what, overrun.pending)
            raise

    def on_domain(self, what: str, uuid: UUID, act: Callable[[Any], T]) -> T:
        """Return act(domain); raises as call does, GuestNotFound where there is no such domain."""
        return self.call(what, _looked_up(uuid, act))

    def job(self, what: str, uuid: UUID, act: Callable[[Any], T], *, patience_s: float) -> T:
        """Return act(domain), which may rightly take very long: that it overruns is no reason to doubt libvirtd.

        Raises as on_domain does, CallOverran once patience_s is over.
        """
        lines = self._usable(patience_s)
        return self._jobs.run(what, partial(self._on_a_line, what, lines, _looked_up(uuid, act)), patience_s)

    def wake(self) -> None:
        """Open in the background, and keep trying."""
        with self._changed:
            self._open_soon()

    def close(self) -> None:
        """Close; calls made from now on raise HypervisorUnavailable."""
        with self._changed:
            self._closed = True
            self._put_away()
            self._changed.notify_all()

    def _usable(self, limit_s: float) -> Lines:
        with self._changed:
            attempts = self._attempts
            if not self._is_usable():
                self._open_soon()
                deadline = self._attempt_began + min(limit_s, PATIENCE_S)
                self._changed.wait_for(
                    lambda: self._is_usable() or self._closed or self._attempts > attempts,
                    timeout=max(0.0, deadline - time.monotonic()),
                )
            if self._closed:
                raise HypervisorUnavailable(f"the connection to {self._uri} is closed")
            if self._lines is None or not self._is_usable():
                raise HypervisorUnavailable(
                    f"libvirt does not answer at {self._uri}: {self._reason or 'it hangs'}"
                )
            return self._lines

    def _is_usable(self) -> bool:
        return self._lines is not None and not self._doubted and self._lines.is_alive()

    def _on_a_line(self, what: str, lines: Lines, work: Callable[[Any], T]) -> T:
        try:
            line = lines.take()
        except libvirt.libvirtError as error:
            raise HypervisorUnavailable(f"{what}: not begun, no line to {self._uri}: {error}") from error
        try:
            return work(line)
        except libvirt.libvirtError as error:
            connected = bool(line.isAlive())  # libvirtd's own troubles with others have the same codes
            if not connected:
                self._lose(lines)
            raise errors.translate(what, error, connected=connected) from error
        finally:
            lines.give_back(line)

    def _doubt(self, what: str, pending: Future[Any]) -> None:
        log.warning("libvirt.call_overran", call=what, uri=self._uri)
        with self._changed:
            self._doubted, self._reason = True, f"{what} has not returned"
            self._open_soon()
        pending.add_done_callback(lambda _: self._trust())

    def _trust(self) -> None:
        """A call that overran has returned: libvirtd answers again (a connection that is gone is not alive)."""
        with self._changed:
            self._doubted = False
            self._changed.notify_all()

    def _lose(self, lines: Lines) -> None:
        with self._changed:
            if lines is not self._lines or self._closed:
                return
            self._put_away()
            self._reason = "the connection was lost"
            self._open_soon()
        log.warning("libvirt.connection_lost", uri=self._uri)

    def _put_away(self) -> None:
        """Have no line any more; the lock is held.

        The old ones are let go in a thread, since a hung libvirtd hangs that, too. One with a call in flight closes
        itself once that returns: closed under a call, libvirt would work on freed memory.
        """
        if self._lines is not None:
            ends = (self._release, self._lines.close)
            threading.Thread(target=_retire, args=ends, name="libvirt-retire", daemon=True).start()
        self._lines, self._release = None, _nothing

    def _open_soon(self) -> None:
        """Start the thread that opens, or let it not wait for its next attempt; the lock is held."""
        if self._opening:
            self._hurry = True
            self._changed.notify_all()
        elif not self._closed:
            self._opening, self._attempt_began = True, time.monotonic()
            threading.Thread(target=self._open_until_done, name="libvirt-open", daemon=True).start()

    def _open_until_done(self) -> None:
        while True:
            fresh, release, reason = self._attempt()
            with self._changed:
                self._attempts += 1
                self._reason = reason
                if fresh is not None:
                    self._put_away()
                    self._lines, self._release, self._doubted = fresh, release, False
                if self._closed:
                    self._put_away()
                self._opening = not self._closed and not (fresh is not None and fresh.is_alive())
                self._changed.notify_all()
                if not self._opening:
                    return
                self._hurry = False
                self._changed.wait_for(lambda: self._hurry or self._closed, timeout=RETRY_S)
                self._attempt_began = time.monotonic()

    def _attempt(self) -> tuple[Lines | None, Callable[[], None], str]:
        """Return fresh lines and what ends them, or None and why there are none."""
        run_event_loop()
        try:
            fresh = Lines(self._uri, lost=self._lose)
        except libvirt.libvirtError as error:
            return None, _nothing, str(error)
        try:
            return fresh, self._prepare(fresh.first), ""
        except libvirt.libvirtError as error:
            _retire(fresh.close)
            return None, _nothing, str(error)


def _looked_up(uuid: UUID, act: Callable[[Any], T]) -> Callable[[Any], T]:
    return lambda connect: act(connect.lookupByUUID(uuid.bytes))


def _nothing() -> None:
    """Nothing is to be released."""


def _retire(*ends: Callable[[], object]) -> None:
    for end in ends:
        try:
            end()
        except libvirt.libvirtError as error:
            log.debug("libvirt.close_failed", error=str(error))


@cache
def run_event_loop() -> None:
    """Run libvirt's event loop in a thread; it must be registered before the process's first connection."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    libvirt.virEventRegisterDefaultImpl()

    def loop() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=loop, name="libvirt-events", daemon=True).start()
