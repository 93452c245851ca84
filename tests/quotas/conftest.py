"""What tests of races share."""

import threading
from collections.abc import Callable

from django.db import connection


def together(*works: Callable[[], object]) -> list[object]:
    """Run these at once, each in a thread and on a connection of its own; returns what they return, or raise."""
    barrier, outcomes = threading.Barrier(len(works)), []

    def run(work: Callable[[], object]) -> None:
        barrier.wait()
        try:
            outcomes.append(work())
        except Exception as error:  # noqa: BLE001  # the test looks at it
            outcomes.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
