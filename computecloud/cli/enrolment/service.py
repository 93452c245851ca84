"""The processes on the other machine: units of systemd where that runs, else under the project's own supervisor."""

import shlex

from computecloud.cli.enrolment.shipping import CODE, STATE, UNITS
from hypervisors.ssh import Remote, RemoteError

FOLDER = "/etc/systemd/system"
START_S = 180.0
# Whatever is mounted below stays, such as an image store that hosts share: its files are not this host's to remove.
_EMPTY = f"""
for entry in {STATE}/* {STATE}/.[!.]*; do
    [ -e "$entry" ] || continue
    awk -v at="$entry" '$2 == at || index($2, at "/") == 1 {{ found = 1 }} END {{ exit !found }}' /proc/mounts ||
        rm -rf "$entry"
done
rmdir {STATE} 2>/dev/null || true
"""


def here(remote: Remote, *words: str) -> str:
    """Run `computecloud here …` there; returns what it says, raises CommandFailed with it."""
    command = shlex.join([".venv/bin/python", "-m", "computecloud", "here", *words])
    return remote.run(
        f"cd {CODE} && export COMPUTECLOUD_STATE_DIR={STATE} && exec {command} </dev/null", timeout_s=START_S
    )


def start(remote: Remote, *, systemd: bool, anew: bool) -> str:
    """Have the worker and the metadata service run, as they are now; returns under what. Raises RemoteError."""
    if not systemd:
        here(remote, "start")
        return "under our own supervisor: there is no systemd"
    for unit in UNITS:
        shipped, there = f"{CODE}/deploy/systemd/{unit}", f"{FOLDER}/{unit}"
        remote.run(f"cmp -s {shipped} {there} || cp {shipped} {there}")
    remote.run("systemctl daemon-reload")
    names = " ".join(UNITS)
    remote.run(
        f"systemctl enable {names} && systemctl {'restart' if anew else 'start'} {names}", timeout_s=START_S
    )
    return f"units {names}"


def remove(remote: Remote) -> None:
    """End what runs there and remove all that enrolling put there; Debian packages stay. Raises RemoteError."""
    for unit in reversed(UNITS):
        there = f"{FOLDER}/{unit}"
        remote.run(
            f"[ ! -f {there} ] || {{ systemctl disable --now {unit}; rm -f {there}; }}", timeout_s=START_S
        )
    if remote.succeeds(f"[ -x {CODE}/.venv/bin/python ] && [ -f {STATE}/settings.env ]"):
        here(remote, "stop", "--all")
    remote.run(f"rm -rf {CODE}")
    remote.run(_EMPTY)


def last_words(remote: Remote, host: str) -> str:
    """Return the end of the worker's log, as far as there is one."""
    log = shlex.quote(f"{STATE}/log/host-{host}.log")
    try:
        text = remote.run(
            f"tail -n 3 {log} 2>/dev/null || journalctl -n 3 -u {UNITS[0]} --no-pager 2>/dev/null || true"
        )
    except RemoteError as error:
        return error.message
    return " ".join(text.split())[-500:] or "its log is empty"
