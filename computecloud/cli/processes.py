"""Processes of this machine: whether they live, ending them, and finding those that lost their supervisor."""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from computecloud.cli.installation import PREFIX, Installation
from computecloud.cli.programs import Program


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def command_of(pid: int) -> bytes:
    """Return a process's command line, its words ended by zero bytes; raises OSError where it is gone."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def transfers(installation: Installation) -> list[int]:
    """Return the processes that bring images into this installation's caches; they outlive its workers."""
    mark, folder = b"images.fetching", str(installation.state / "hosts").encode()
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            words = command_of(int(process.name)).split(b"\0")
            if words[1:3] == [b"-m", mark] and b"".join(words[3:4]).startswith(folder):
                found.append(int(process.name))
    return found


def orphans(installation: Installation, wanted: Iterable[Program]) -> list[int]:
    """Return processes of this installation whose supervisor died without them.

    A process in another container or chroot may have a state folder of the same name: its root tells.
    """
    mark = f"{PREFIX}STATE_DIR={installation.state}".encode()
    commands = {" ".join(program.command[1:]).encode() for program in wanted}
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            pid = int(folder.name)
            words = b" ".join(command_of(pid).split(b"\0")[1:])
            if words.rstrip() not in commands or not (folder / "root").samefile("/"):
                continue
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def end(pids: Iterable[int], *, patience_s: float = 10.0) -> None:
    """End processes, and kill those that do not."""
    waiting = list(pids)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in waiting:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + patience_s
        while waiting and time.monotonic() < deadline:
            waiting = [pid for pid in waiting if alive(pid)]
            time.sleep(0.05)
