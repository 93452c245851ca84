"""Work in threads, each piece for at most its limit, so that what hangs holds up nobody else."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from hypervisors.driver import CallOverran, HypervisorUnavailable

T = TypeVar("T")


class TimedCalls:
    """At most `slots` pieces of work at once. Threads are daemons: one that hangs does not keep a process alive."""

    def __init__(self, slots: int) -> None:
        self._count = slots
        self._slots = threading.BoundedSemaphore(slots)

    def run(self, what: str, work: Callable[[], T], limit_s: float) -> T:
        """Return work's result or raise its error.

        Raises CallOverran when limit_s is over, and HypervisorUnavailable where no slot came free: nothing was done.
        """
        if not self._slots.acquire(timeout=limit_s):
            raise HypervisorUnavailable(f"{what}: not begun, {self._count} calls have not returned")
        future: Future[T] = Future()
        thread = threading.Thread(target=self._work, args=(future, work), name=f"call-{what}", daemon=True)
        thread.start()
        if not wait((future,), timeout=limit_s).done:
            raise CallOverran(f"{what}: no answer within {limit_s:g} s, its outcome is unknown", future)
        try:
            return future.result()
        finally:
            del future, thread, work  # its error holds this frame, and would hold all that the work holds

    def _work(self, future: Future[T], work: Callable[[], T]) -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - handed over, whole, to who waits for the future
            self._slots.release()
            future.set_exception(error)
            del future, work  # as in run
        else:
            self._slots.release()
            future.set_result(result)
