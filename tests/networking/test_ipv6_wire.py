"""IPv6 on a real host: guests make the address that is theirs, reach each other, and can pretend nothing."""

import random
import string
import time

import pytest

from networking import addressing, names
from networking.facts import FixedIp
from networking.wiring import linux, presence
from tests.networking.host import Guest, connect, network_facts, port_facts, seen_from_outside
from tests.networking.test_wire import NOTHING

pytestmark = pytest.mark.guest
CIDR = "fd00:1::/64"


@pytest.fixture
def tag():
    """A tag of this test's own; whatever happens, nothing of it stays."""
    tag = "".join(random.choices(string.ascii_lowercase, k=names.TAG_LENGTH))
    yield tag
    presence.remove_all(tag)
    assert seen_from_outside(tag) == NOTHING


def six(tag: str):
    return network_facts(
        tag, CIDR, version=6, gateway="fd00:1::1", dhcp_address=None, dns=[], ra_mode="slaac"
    )


def port_of(network):
    port = port_facts(network, 3)
    own = FixedIp(addressing.eui64(CIDR, port.mac), network.subnets[0].id, 6, CIDR, "fd00:1::1")
    return port_facts(network, 3, mac=port.mac, fixed_ips=[own])


def await_address(guest: Guest) -> None:
    own, until = guest.port.fixed_ips[0].address, time.monotonic() + 60
    while f"{own}/64 scope global dynamic" not in (
        shown := guest.do("ip", "-6", "addr", "show", "eth0").stdout
    ):
        assert time.monotonic() < until, shown
        time.sleep(0.2)
    while "tentative" in guest.do("ip", "-6", "addr", "show", "eth0").stdout:
        assert time.monotonic() < until
        time.sleep(0.2)


def pings(guest: Guest, address: str, source: str = "") -> bool:
    words = ["busybox", "ping", "-c", "1", "-W", "2", *(["-I", source] if source else []), address]
    return guest.do(*words).returncode == 0


def test_guests_make_their_own_addresses_and_reach_each_other_and_the_gateway(tag, tmp_path):
    network = six(tag)
    ports = [port_of(network), port_of(network)]
    connect(ports)
    with Guest(ports[0], tmp_path) as one, Guest(ports[1], tmp_path) as two:
        for guest in (one, two):
            await_address(guest)
        assert pings(one, two.port.fixed_ips[0].address)
        assert pings(one, "fd00:1::1")
        assert "default via fe80" in one.do("ip", "-6", "route").stdout
        one.do("ip", "-6", "addr", "add", "fd00:1::66/64", "dev", "eth0", "nodad", check=True)
        assert not pings(one, two.port.fixed_ips[0].address, "fd00:1::66")
    linux.disconnect(ports)


def test_a_guest_advertises_no_router_and_serves_no_dhcp(tag, tmp_path):
    network = six(tag)
    rogue, victim = port_of(network), port_of(network)
    connect([rogue, victim])
    with Guest(rogue, tmp_path) as guest, Guest(victim, tmp_path) as other:
        await_address(guest)
        await_address(other)
        conf, pid_file = tmp_path / "rogue.conf", tmp_path / "pid"
        conf.write_text(
            f"port=0\ninterface=eth0\nbind-interfaces\nuser=root\npid-file={pid_file}\nenable-ra\n"
            f"dhcp-range=fd00:1::,ra-only,64,600s\ndhcp-range=fd00:bad::,ra-only,64,600s\nra-param=eth0,4,600\n"
            f"dhcp-leasefile={tmp_path / 'leases'}\n"
        )
        guest.do("ip", "-6", "addr", "add", "fd00:bad::1/64", "dev", "eth0", "nodad", check=True)
        guest.do("dnsmasq", f"--conf-file={conf}", check=True)
        try:
            time.sleep(10)
            assert "fd00:bad" not in other.do("ip", "-6", "addr").stdout
        finally:
            guest.do("kill", pid_file.read_text().strip())
    linux.disconnect([rogue, victim])
