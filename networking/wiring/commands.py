"""Running `ip`, `nft` and `dnsmasq`: few forks, each with a batch of work, none without a time limit."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from hypervisors.driver import CallFailed

TIMEOUT_S = 30.0
_lock: ContextVar[int | None] = ContextVar("lock", default=None)


class WiringFailed(CallFailed):
    """The host refused a change of its network; the message has the command's own words.

    It is an error like a driver's, for whoever wires a guest does next to nothing but drive its hypervisor.
    """

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message, retryable=retryable)


@contextmanager
def holding(lock: int) -> Iterator[None]:
    """Have every command that runs meanwhile hold this lock file too.

    A command outlives a worker that is killed; so nobody else begins before it has ended.
    """
    before = _lock.set(lock)
    try:
        yield
    finally:
        _lock.reset(before)


def run(command: Sequence[str], *, script: str = "") -> str:
    """Run the command with script as its input; returns its output; raises WiringFailed."""
    lock = _lock.get()
    try:
        done = subprocess.run(
            command,
            input=script,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            pass_fds=() if lock is None else (lock,),
        )
    except subprocess.TimeoutExpired:
        raise WiringFailed(f"{command[0]} did not end within {TIMEOUT_S:.0f} s") from None
    except FileNotFoundError:
        raise WiringFailed(f"{command[0]} is not installed; run bin/up again", retryable=False) from None
    if done.returncode:
        words = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise WiringFailed(f"{' '.join(command[:3])} failed: {words[:500]}")
    return done.stdout


def ip(lines: Sequence[str], *, namespace: str = "", to_the_end: bool = False) -> None:
    """Run lines of `ip` commands in one process, in the host's root namespace or another; raises WiringFailed.

    to_the_end: a line that fails does not keep those after it from being run.
    """
    if lines:
        options = [*(["-n", namespace] if namespace else []), *(["-force"] if to_the_end else [])]
        run(["ip", *options, "-batch", "-"], script="\n".join(lines) + "\n")


def nft(script: str) -> None:
    """Apply an nftables script, all of it or nothing; raises WiringFailed."""
    if script:
        run(["nft", "-f", "-"], script=script)
