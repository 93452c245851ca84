"""The worker on the other machine: a unit of systemd where that runs, else under the project's own supervisor."""

import shlex

from computecloud.cli.enrolment.shipping import CODE, STATE
from hypervisors.ssh import Remote, RemoteError

UNIT = "computecloud-host.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
START_S = 180.0


def here(remote: Remote, *words: str) -> str:
    """Run `computecloud here …` there; returns what it says, raises CommandFailed with it."""
    command = shlex.join([".venv/bin/python", "-m", "computecloud", "here", *words])
    return remote.run(
        f"cd {CODE} && export COMPUTECLOUD_STATE_DIR={STATE} && exec {command} </dev/null", timeout_s=START_S
    )


def start(remote: Remote, *, systemd: bool, anew: bool) -> str:
    """Have the worker run, with what is there now; returns under what it runs. Raises RemoteError."""
    if not systemd:
        here(remote, "start")
        return "under our own supervisor: there is no systemd"
    remote.run(
        f"cmp -s {CODE}/deploy/systemd/{UNIT} {UNIT_FILE} || cp {CODE}/deploy/systemd/{UNIT} {UNIT_FILE}"
    )
    remote.run("systemctl daemon-reload")
    remote.run(
        f"systemctl enable {UNIT} && systemctl {'restart' if anew else 'start'} {UNIT}", timeout_s=START_S
    )
    return f"unit {UNIT}"


def remove(remote: Remote) -> None:
    """End the worker and remove all that enrolling put there; Debian packages stay. Raises RemoteError."""
    remote.run(
        f"[ ! -f {UNIT_FILE} ] || {{ systemctl disable --now {UNIT}; rm -f {UNIT_FILE}; }}", timeout_s=START_S
    )
    if remote.succeeds(f"[ -x {CODE}/.venv/bin/python ] && [ -f {STATE}/settings.env ]"):
        here(remote, "stop", "--all")
    remote.run(f"rm -rf {CODE} {STATE}")


def last_words(remote: Remote, host: str) -> str:
    """Return the end of the worker's log, as far as there is one."""
    log = shlex.quote(f"{STATE}/log/host-{host}.log")
    try:
        text = remote.run(
            f"tail -n 3 {log} 2>/dev/null || journalctl -n 3 -u {UNIT} --no-pager 2>/dev/null || true"
        )
    except RemoteError as error:
        return error.message
    return " ".join(text.split())[-500:] or "its log is empty"
