"""How many times slower than usual this machine is: a wait that says how long a thing may take grows with it.

Limits are figures of an ordinary machine. Where other machines take the processor away, they would measure those
instead. What a run is allowed is printed at its end; COMPUTECLOUD_TEST_PATIENCE=1 takes the figures as they stand.
"""

import os
import sys
import time
from functools import cache

ROUNDS = 300_000
USUAL_S = 0.02  # for that many rounds of a loop that only adds, one process alone
LEAST, MOST = 1.0, 12.0
HURRIED = 2.5  # a machine that is slower leaves out of a whole run what takes minutes anywhere
NOISE = 1.5  # up to here it is a machine like any other


def _adding_takes_s() -> float:
    began = time.perf_counter()
    total = 0
    for number in range(ROUNDS):
        total += number
    return time.perf_counter() - began


@cache
def patience() -> float:
    """Return the factor, the same for a whole run: the best of five measurements, none of a usual machine's noise."""
    if given := os.environ.get("COMPUTECLOUD_TEST_PATIENCE"):
        return float(given)
    slower = min(_adding_takes_s() for _ in range(5)) / USUAL_S
    return LEAST if slower < NOISE else min(MOST, slower)


if __name__ == "__main__":
    sys.stdout.write(f"  this machine is {patience():.1f} times slower than usual\n")
    sys.exit(patience() > HURRIED)
