"""What is told of a fresh connection, on libvirt's built-in test hypervisor, which has one running guest."""

import time
from collections.abc import Iterator

import libvirt
import pytest

from hypervisors.announcer import Announcer
from hypervisors.driver import GuestEvent, PowerState
from hypervisors.libvirt.connection import run_event_loop
from hypervisors.libvirt.events import DomainEvents
from tests.hypervisors.conftest import until


@pytest.fixture
def announcer() -> Iterator[Announcer]:
    """Return an announcer with nobody listening yet."""
    run_event_loop()
    announcer = Announcer()
    yield announcer
    announcer.close()


def test_each_guest_is_told_again_once_libvirtd_has_asked_its_guests(announcer: Announcer) -> None:
    told: list[GuestEvent] = []
    announcer.listen(told.append)
    release = DomainEvents("node", announcer, again_s=0.2).subscribe(libvirt.open("test:///default"))
    until(lambda: len(told) == 2)
    assert [event.power_state for event in told] == [PowerState.RUNNING] * 2
    release()


def test_a_connection_that_is_given_up_tells_nothing_more(announcer: Announcer) -> None:
    told: list[GuestEvent] = []
    announcer.listen(told.append)
    release = DomainEvents("node", announcer, again_s=2.0).subscribe(libvirt.open("test:///default"))
    release()
    time.sleep(3)
    assert len(told) == 1
