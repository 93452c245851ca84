"""What operators do to hosts: whether they take guests, count as down, and are forgotten."""

import uuid

import pytest

from computecloud.wire.errors import Conflict, NotFound
from workers import hosts
from workers.models import Footprint, Host

pytestmark = pytest.mark.django_db


def footprint(host: str) -> Footprint:
    return Footprint.objects.create(
        subject_id=uuid.uuid4(),
        operation_id=uuid.uuid4(),
        step="disks",
        kind="disks",
        host=host,
        name="n",
        state="made",
    )


@pytest.mark.parametrize("act", [hosts.enable, hosts.let_up, hosts.force_down], ids=lambda act: act.__name__)
def test_of_a_host_that_nobody_knows_nothing_can_be_asked(act):
    Host.objects.create(name="h1", enabled=False, forced_down=True)
    with pytest.raises(NotFound, match="Host h2 could not be found"):
        act(name="h2")
    host = hosts.find("h1")
    assert (host.enabled, host.forced_down) == (False, True)


@pytest.mark.parametrize(("alive", "forced_down"), [(False, False), (False, True), (True, True)])
def test_a_host_that_is_down_is_forgotten_with_what_was_left_there(alive: bool, forced_down: bool):
    Host.objects.create(name="h1", alive=alive, forced_down=forced_down)
    Host.objects.create(name="h2", alive=False)
    footprint("h1")
    kept = footprint("h2")
    hosts.remove(name="h1")
    assert Host.objects.get().name == "h2"
    assert Footprint.objects.get().id == kept.id


def test_a_host_that_is_up_is_not_forgotten():
    Host.objects.create(name="h1", alive=True)
    footprint("h1")
    with pytest.raises(Conflict, match="Stop its worker"):
        hosts.remove(name="h1")
    assert hosts.find("h1").is_up
    assert Footprint.objects.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("host h1 is down", "its host is down"),
        ("no room; host h1.lan is down", "no room; its host is down"),
        (
            "step image waits in queue host.h1; x: step image waits in queue host.h1.lan.slow",
            "step image waits in the queue of its host; x: step image waits in the queue of its host",
        ),
        ("step wait waits for host h1.lan, which is down", "step wait waits for its host, which is down"),
        ("No valid host was found: 2 on a disabled host", "No valid host was found: 2 on a disabled host"),
        ("no h1", "no h1"),
        (
            "Cannot access storage file '/var/lib/cloud/hosts/h1/guests/1a-2b/root.qcow2' (as uid:64055)",
            "Cannot access storage file 'a file of its host' (as uid:64055)",
        ),
        (
            "no disk /dev/vdb; see https://cloud/docs/a.html",
            "no disk /dev/vdb; see https://cloud/docs/a.html",
        ),
        ("1/2/3 or either/or/neither", "1/2/3 or either/or/neither"),
    ],
)
def test_a_tenant_reads_no_name_of_a_host(words: str, told: str):
    for name in ("h1", "h1.lan"):
        Host.objects.create(name=name)
    assert hosts.unnamed(words) == told


def test_without_hosts_words_are_as_they_were():
    assert hosts.unnamed("no host at all") == "no host at all"
