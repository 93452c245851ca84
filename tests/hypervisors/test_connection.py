"""The connection's time limits, on libvirt's built-in test hypervisor: no libvirtd needed."""

import gc
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any
from uuid import UUID

import libvirt
import pytest

from hypervisors.driver import CallFailed, CallOverran, GuestNotFound, HypervisorUnavailable
from hypervisors.libvirt import errors
from hypervisors.libvirt.connection import Connection
from hypervisors.libvirt.timed import TimedCalls
from tests.hypervisors.conftest import until

URI = "test:///default"


@pytest.fixture
def connection() -> Iterator[Connection]:
    """Return a connection to a hypervisor inside this process."""
    connection = Connection(URI, limit_s=5.0)
    yield connection
    connection.close()


@pytest.fixture
def hung() -> Iterator[threading.Event]:
    """Return what a hung call waits for."""
    event = threading.Event()
    yield event
    event.set()


def test_a_call_returns_what_libvirt_says(connection: Connection) -> None:
    assert connection.call("ask the type", lambda connect: connect.getType()) == "TEST"


def test_a_call_over_its_limit_hands_over_what_is_pending(
    connection: Connection, hung: threading.Event
) -> None:
    with pytest.raises(CallOverran) as overrun:
        connection.call("hang", lambda _: hung.wait(), limit_s=0.05)
    assert not overrun.value.pending.done()
    hung.set()
    assert overrun.value.pending.result(timeout=5) is True


def test_one_hung_call_holds_up_no_other_once_a_fresh_connection_answers(
    connection: Connection, hung: threading.Event
) -> None:
    with pytest.raises(CallOverran):
        connection.call("hang", lambda _: hung.wait(), limit_s=0.05)
    assert connection.call("ask", lambda connect: connect.getType()) == "TEST"


class HangingOpen:
    """Lets the first connection through and hangs the next ones, as a stopped libvirtd does."""

    def __init__(self, hung: threading.Event) -> None:
        self.hung = hung
        self.opened = 0

    def __call__(self, _: Any) -> Any:
        self.opened += 1
        if self.opened > 1:
            self.hung.wait()
        return lambda: None


def test_after_an_overrun_calls_fail_at_once_until_it_returns(hung: threading.Event) -> None:
    until_reopened = threading.Event()
    connection = Connection(URI, limit_s=5.0, prepare=HangingOpen(until_reopened))
    connection.call("ask", lambda connect: connect.getType())
    with pytest.raises(CallOverran) as overrun:
        connection.call("hang", lambda _: hung.wait(), limit_s=0.05)
    with pytest.raises(HypervisorUnavailable):
        connection.call("ask", lambda connect: connect.getType(), limit_s=0.2)
    time.sleep(0.2)
    began = time.monotonic()
    with pytest.raises(HypervisorUnavailable, match="hang has not returned"):
        connection.call("ask", lambda connect: connect.getType(), limit_s=0.2)
    assert time.monotonic() - began < 2
    hung.set()
    wait([overrun.value.pending], timeout=5)
    assert connection.call("ask", lambda connect: connect.getType()) == "TEST"
    until_reopened.set()
    connection.close()


def test_after_an_overrun_a_reopened_connection_is_used_though_the_call_still_hangs(
    hung: threading.Event,
) -> None:
    until_reopened = threading.Event()
    connection = Connection(URI, limit_s=5.0, prepare=HangingOpen(until_reopened))
    with pytest.raises(CallOverran):
        connection.call("hang", lambda _: hung.wait(), limit_s=0.05)
    with pytest.raises(HypervisorUnavailable):
        connection.call("ask", lambda connect: connect.getType(), limit_s=0.05)
    until_reopened.set()
    until(lambda: answers(connection))
    connection.close()


def answers(connection: Connection) -> bool:
    """Return whether a call goes through."""
    try:
        return bool(connection.call("ask", lambda connect: connect.getType()) == "TEST")
    except HypervisorUnavailable:
        return False


@pytest.fixture
def no_gc() -> Iterator[None]:
    """Have nothing freed but what nobody refers to: the collector may run in a thread that must not hang."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_gc")
def test_a_call_that_fails_keeps_its_line_from_nobody_and_open_for_nobody(connection: Connection) -> None:
    lines: list[weakref.ref[Any]] = []

    def fail(connect: Any) -> None:
        lines.append(weakref.ref(connect))
        connect.lookupByName("nobody")

    for _ in range(2):
        with suppress(GuestNotFound):
            connection.call("fail", fail)
    assert lines[0]() is lines[1]() is not None
    connection.close()
    until(lambda: lines[0]() is None)


def test_two_calls_at_once_have_a_line_each(connection: Connection, hung: threading.Event) -> None:
    lines: list[Any] = []

    def wait_with_it(connect: Any) -> None:
        lines.append(connect)
        hung.wait()

    with ThreadPoolExecutor() as pool:
        calls = [pool.submit(connection.call, "wait", wait_with_it) for _ in range(2)]
        until(lambda: len(lines) == 2)
        hung.set()
        wait(calls, timeout=5)
    assert lines[0] is not lines[1]


def test_a_job_may_last_and_nobody_doubts_libvirtd(connection: Connection, hung: threading.Event) -> None:
    connect = libvirt.open(URI)
    uuid = UUID(bytes=connect.lookupByName("test").UUID())
    with pytest.raises(CallOverran) as overrun:
        connection.job("hang", uuid, lambda domain: hung.wait() and domain.name(), patience_s=0.05)
    opened: list[Any] = []
    connection.call("ask", opened.append)
    connection.call("ask", opened.append)
    assert opened[0] is opened[1], "the lines were not opened afresh"
    hung.set()
    assert overrun.value.pending.result(timeout=5) == "test"


def test_a_hypervisor_that_is_not_there_is_unavailable_and_says_where(tmp_path: Any) -> None:
    connection = Connection(f"qemu+unix:///system?socket={tmp_path}/none", limit_s=5.0)
    began = time.monotonic()
    with pytest.raises(HypervisorUnavailable, match="/none"):
        connection.call("ask", lambda connect: connect.getType())
    assert time.monotonic() - began < 5
    connection.close()


def test_a_closed_connection_stays_closed(connection: Connection) -> None:
    connection.call("ask", lambda connect: connect.getType())
    connection.close()
    with pytest.raises(HypervisorUnavailable, match="is closed"):
        connection.call("ask", lambda connect: connect.getType())


def test_libvirts_errors_become_the_drivers(connection: Connection) -> None:
    with pytest.raises(GuestNotFound):
        connection.call("look", lambda connect: connect.lookupByName("nobody"))
    with pytest.raises(CallFailed) as failed:
        connection.call("define", lambda connect: connect.defineXML("<nonsense/>"))
    assert not failed.value.retryable


@pytest.mark.parametrize(
    ("code", "retryable"),
    [
        (libvirt.VIR_ERR_OPERATION_TIMEOUT, True),
        (libvirt.VIR_ERR_OPERATION_INVALID, True),
        (libvirt.VIR_ERR_RESOURCE_BUSY, True),
        (libvirt.VIR_ERR_SYSTEM_ERROR, True),
        (libvirt.VIR_ERR_XML_ERROR, False),
        (libvirt.VIR_ERR_CONFIG_UNSUPPORTED, False),
        (libvirt.VIR_ERR_INTERNAL_ERROR, False),
        (libvirt.VIR_ERR_OPERATION_FAILED, False),
        (libvirt.VIR_ERR_INVALID_ARG, False),
    ],
)
def test_an_errors_code_says_whether_to_try_again(code: int, retryable: bool) -> None:
    error = libvirt.libvirtError("told")
    error.err = (code, libvirt.VIR_FROM_QEMU, "told", 2, None, None, None, -1, -1)
    assert errors.translate("act", error).retryable is retryable
    assert errors.translate("act", error, connected=False).retryable is True


def test_when_all_slots_are_held_nothing_is_begun(hung: threading.Event) -> None:
    calls = TimedCalls(1)
    with pytest.raises(CallOverran):
        calls.run("hang", hung.wait, 0.05)
    begun = threading.Event()
    with pytest.raises(HypervisorUnavailable, match="not begun"):
        calls.run("act", begun.set, 0.05)
    assert not begun.is_set()
    hung.set()
    until(lambda: not begun.is_set() and calls.run("act", lambda: True, 1.0))


def test_an_error_of_the_work_itself_is_the_callers() -> None:
    with pytest.raises(TimeoutError, match="its own"):
        TimedCalls(1).run("act", _raise_timeout, 1.0)


def _raise_timeout() -> None:
    raise TimeoutError("its own")
