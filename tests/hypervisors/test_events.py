"""What is told of a fresh connection, on libvirt's built-in test hypervisor, which has one running guest."""

import gc
import time
import weakref
from collections.abc import Iterator
from typing import Any

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


class ChangesMeanwhile:
    """A connection on which a guest is paused after libvirt has answered and before anybody reads the answer."""

    def __init__(self, told: list[GuestEvent]) -> None:
        self.told = told
        self.connect = libvirt.open("test:///default")
        self.domain = self.connect.lookupByName("test")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connect, name)

    def getAllDomainStats(self, stats: int) -> Any:
        answer = self.connect.getAllDomainStats(stats)
        self.domain.suspend()
        until(lambda: self.told)
        return answer


def test_what_is_told_of_all_guests_overtakes_no_change(announcer: Announcer) -> None:
    told: list[GuestEvent] = []
    announcer.listen(told.append)
    connect = ChangesMeanwhile(told)
    release = DomainEvents("node", announcer, again_s=60).subscribe(connect)
    connect.domain.destroy()
    until(lambda: told[-1].power_state is PowerState.SHUTDOWN)
    release()
    connect.domain.create()  # as the other tests find it
    assert [event.power_state for event in told] == [PowerState.PAUSED, PowerState.SHUTDOWN]


class LostMeanwhile(ChangesMeanwhile):
    """A connection that is lost while libvirt is asked what all guests do."""

    def getAllDomainStats(self, _: int) -> Any:
        raise libvirt.libvirtError("the connection is lost")


def test_a_connection_that_is_lost_at_once_is_not_kept_open(announcer: Announcer) -> None:
    told: list[GuestEvent] = []
    announcer.listen(told.append)
    connect = LostMeanwhile(told)
    with pytest.raises(libvirt.libvirtError, match="lost"):
        DomainEvents("node", announcer).subscribe(connect)
    kept = weakref.ref(connect.connect)
    del connect
    until(lambda: gc.collect() >= 0 and kept() is None)


class GoesMeanwhile(ChangesMeanwhile):
    """A connection on which one guest, which is off, goes after libvirt has answered, and one stays."""

    def getAllDomainStats(self, _: int) -> Any:
        gone = self.connect.defineXML(
            "<domain type='test'><name>gone</name><memory>1024</memory><os><type>hvm</type></os></domain>"
        )
        gone.undefine()
        off, on = (
            {"state.state": state} for state in (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_RUNNING)
        )
        return [(gone, off), (self.domain, on)]


def test_a_guest_that_goes_while_all_are_told_keeps_nobody_from_being_told(announcer: Announcer) -> None:
    told: list[GuestEvent] = []
    announcer.listen(told.append)
    release = DomainEvents("node", announcer, again_s=60).subscribe(GoesMeanwhile(told))
    until(lambda: told)
    release()
    assert [event.power_state for event in told] == [PowerState.RUNNING]
