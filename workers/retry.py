"""What to do with a step that raised: a pure function of the error and the attempts, tested by a table."""

from dataclasses import dataclass

from computecloud.wire.errors import CloudError, Unavailable
from computecloud.wire.outage import is_outage
from hypervisors.driver import CallOverran, DriverError, HypervisorUnavailable

UNKNOWN_ATTEMPTS = 3  # an error that nobody foresaw may be a passing one; more tries would only hide it
LONGEST_PAUSE_S = 30.0
AWAY_TIMES = 2  # a hypervisor that is away is asked so many times as often as others fail: nothing was done
AWAY_PAUSE_S = 2.0  # and soon, for it is back at any moment


class StepFailed(Exception):
    """A step's own word that it failed; retryable says whether the same may work later."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.retryable = retryable


class HostLost(Exception):
    """What an attempt is told to have met when its worker died or its lease ran out."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Run the step again after after_s."""

    after_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Undo what was begun."""


def verdict(error: BaseException, *, attempt: int, attempts: int) -> Retry | GiveUp:
    """Judge the attempt-th failure (from 1) of a step that may be tried `attempts` times."""
    longest_s = LONGEST_PAUSE_S
    match error:
        case HypervisorUnavailable():
            limit, longest_s = attempts * AWAY_TIMES, AWAY_PAUSE_S
        case CallOverran() | Unavailable() | HostLost():
            limit = attempts
        case _ if is_outage(error):
            limit = attempts
        case DriverError() | StepFailed():
            limit = attempts if error.retryable else 1
        case CloudError():
            limit = 1
        case _:
            limit = min(attempts, UNKNOWN_ATTEMPTS)
    return Retry(min(longest_s, backoff_s(attempt))) if attempt < limit else GiveUp()


def backoff_s(attempt: int) -> float:
    """Return how long to wait after the attempt-th failure: 0.5 s, doubling, at most 30 s."""
    return float(min(LONGEST_PAUSE_S, 0.5 * 2 ** (attempt - 1)))


def in_words(error: BaseException) -> str:
    """Return what an operator or tenant may read; an unforeseen error shows only its kind."""
    message = getattr(error, "message", None)
    if isinstance(message, str):
        return message
    if isinstance(error, HostLost) or is_outage(error):
        return str(error)
    return f"unexpected {type(error).__name__}"
