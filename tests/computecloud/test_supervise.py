"""The supervisor with real processes, small ones: started, watched, stopped, found again when it died without them."""

import os
import signal
import sys
import time
from collections.abc import Iterator

import pytest

from computecloud.cli.failures import Failure
from computecloud.cli.installation import Installation
from computecloud.cli.processes import alive, end, orphans
from computecloud.cli.programs import Program, configuration, host_names, programs
from computecloud.cli.progress import Progress, Step
from computecloud.cli.supervisor import Supervisor
from tests.patience import patience

SETTINGS = {"DRIVER": "fake", "UP_HOSTS": "2", "WEB_HOST": "127.0.0.1", "WEB_PORT": "8774"}


def sleeper(name: str, *, at_once: bool = True) -> Program:
    return Program(
        name, (sys.executable, "-c", "import time; time.sleep(600)", name), priority=1, at_once=at_once
    )


@pytest.fixture
def step() -> Iterator[Step]:
    with Progress().step("test") as step:
        yield step


@pytest.fixture
def supervisor(installation: Installation, step: Step) -> Iterator[Supervisor]:
    found = Supervisor(installation)
    yield found
    found.stop(step)


def start(supervisor: Supervisor, installation: Installation, step: Step, *wanted: Program) -> None:
    environment = installation.environment(
        {"STATE_DIR": str(installation.state), "MARK": 'a "quoted" % word'}
    )
    supervisor.start(configuration(installation, wanted), "mark", environment, step)


def test_programs_run_with_the_settings_until_they_are_stopped(
    supervisor: Supervisor, installation: Installation, step: Step
) -> None:
    start(supervisor, installation, step, sleeper("one"), sleeper("late", at_once=False))
    supervisor.start_rest()
    supervisor.wait_until_up(step)
    assert supervisor.runs_as("mark")
    assert not supervisor.runs_as("another mark")
    pids = [process.pid for process in supervisor.processes()]
    with open(f"/proc/{pids[0]}/environ", "rb") as environ:
        assert b'COMPUTECLOUD_MARK=a "quoted" % word' in environ.read().split(b"\0")
    assert supervisor.stop(step)
    assert not any(alive(pid) for pid in pids)
    assert not supervisor.stop(step)
    assert not supervisor.runs_as("mark")


def test_a_program_that_ends_at_once_is_a_failure_with_its_log(
    supervisor: Supervisor, installation: Installation, step: Step, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Program("broken", (sys.executable, "-c", "raise SystemExit('the words of it')"), priority=1)
    start(supervisor, installation, step, broken)
    with pytest.raises(Failure, match="broken does not run") as caught:
        supervisor.wait_until_up(step)
    caught.value.show()
    assert "the words of it" in capsys.readouterr().err


def test_programs_whose_supervisor_was_killed_are_found_and_ended(
    supervisor: Supervisor, installation: Installation, step: Step
) -> None:
    mine = sleeper("mine")
    start(supervisor, installation, step, mine)
    supervisor.wait_until_up(step)
    child = supervisor.processes()[0].pid
    assert orphans(installation, [mine]) == [child]
    assert orphans(Installation(installation.state / "other"), [mine]) == []
    assert orphans(installation, [sleeper("another")]) == []
    parent = supervisor.pid()
    assert parent is not None
    os.kill(parent, signal.SIGKILL)
    deadline = time.monotonic() + 5 * patience()
    while supervisor.pid() is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert supervisor.processes() == []
    end(orphans(installation, [mine]))
    assert not alive(child)


def test_a_path_too_long_for_a_socket_is_refused(installation: Installation) -> None:
    with pytest.raises(Failure, match="too long for a socket"):
        configuration(Installation(installation.state / ("x" * 90)), [])


def test_a_fake_cloud_is_redis_web_control_beat_and_a_worker_a_host(installation: Installation) -> None:
    names = [program.name for program in programs(installation, SETTINGS, own_libvirtd=False)]
    assert sorted(names) == ["beat", "control", "host-fake-1", "host-fake-2", "redis", "web"]


def test_a_real_host_has_a_metadata_service_of_its_name(installation: Installation) -> None:
    settings = {**SETTINGS, "DRIVER": "libvirt", "HOST_NAME": "a"}
    wanted = {p.name: p for p in programs(installation, settings, own_libvirtd=False)}
    assert sorted(wanted) == ["beat", "control", "host-a", "metadata", "redis", "web"]
    assert wanted["metadata"].environment == {"COMPUTECLOUD_HOST_NAME": "a"}


def test_a_broker_of_ones_own_replaces_redis(installation: Installation) -> None:
    wanted = programs(installation, {**SETTINGS, "BROKER_URL": "amqp://elsewhere"}, own_libvirtd=False)
    assert "redis" not in [program.name for program in wanted]


def test_a_real_host_is_named_like_the_machine_unless_the_settings_name_it() -> None:
    assert host_names({"DRIVER": "libvirt"}) == [os.uname().nodename]
    assert host_names({"DRIVER": "libvirt", "HOST_NAME": "a"}) == ["a"]
