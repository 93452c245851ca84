"""Tells guests' events to those who listen, one at a time and in order, from a thread of its own."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from hypervisors.driver import GuestEvent


class Announcer:
    """A queue of events with one thread, which starts with the first listener."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[GuestEvent | None] = SimpleQueue()
        self._listeners: tuple[Callable[[GuestEvent], None], ...] = ()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def heard(self) -> bool:
        """Return whether anybody listens."""
        return bool(self._listeners)

    def listen(self, callback: Callable[[GuestEvent], None]) -> None:
        """Call back for every event from now on; an event that the callback raises on is lost, later ones are not."""
        with self._lock:
            first = not self._listeners
            self._listeners = (*self._listeners, callback)
        if first:
            self._start()

    def announce(self, event: GuestEvent) -> None:
        """Queue an event; returns at once."""
        if self._listeners:
            self._queue.put(event)

    def close(self) -> None:
        """Let the thread end after the event it is telling."""
        self._closed = True
        self._queue.put(None)

    def _start(self) -> None:
        threading.Thread(target=self._tell, name="guest-events", daemon=True).start()

    def _tell(self) -> None:
        """Tell events until closed; an error of a listener reaches threading.excepthook and a new thread goes on."""
        clean = False
        try:
            while not self._closed and (event := self._queue.get()) is not None:
                for callback in self._listeners:
                    callback(event)
            clean = True
        finally:
            if not clean and not self._closed:
                self._start()
