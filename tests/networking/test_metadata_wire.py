"""The metadata service on a real host: guests that namespaces play ask it, and each is known by where it asks from."""

import asyncio
import dataclasses
import fcntl
import json
import os
import random
import signal
import socket
import string
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from functools import partial
from uuid import UUID, uuid4

import pytest
from django.db import connection

from computecloud.config import CONFIG
from instances.metadata.answers import Answer, Question
from instances.metadata.service import Service
from networking import metadata_address, names, selectors, surroundings
from networking.facts import AddressPair, PlannedNic, Surroundings
from networking.services import bind
from networking.wiring import linux, namespaces, presence
from tests.instances.conftest import Tenant, a_server
from tests.networking.conftest import a_network, a_subnet
from tests.networking.host import Guest, connect, network_facts, port_facts, run, seen_from_outside
from tests.networking.test_wire import NOTHING
from tests.patience import patience

pytestmark = pytest.mark.guest

CLOSED = str(uuid4())
WAIT_S = 20.0
SIOCGSKNS = 0x894C  # linux/sockios.h: a descriptor of the namespace that a socket is in
ASK = """
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
request = urllib.request.Request("http://169.254.169.254" + sys.argv[1], headers={
    "X-Forwarded-For": "10.0.0.99", "X-Instance-ID": "11111111-1111-4111-8111-111111111111", "X-Tenant-ID": "root"})
print(opener.open(request, timeout=float(sys.argv[2])).read().decode())
"""
ASK_FROM = """
import socket, sys
s = socket.socket()
s.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND
s.settimeout(2)
s.bind((sys.argv[1], 0))
s.connect(("169.254.169.254", 80))
print("connected")
"""

FORGE = """
import socket, struct, subprocess, sys
sender, tags = sys.argv[1], int(sys.argv[2])
neighbours = subprocess.run(["ip", "neigh"], capture_output=True, text=True).stdout
to = next(line.split()[4] for line in neighbours.splitlines() if line.startswith("10.0.0.1 "))
own = open("/sys/class/net/eth0/address").read().strip()
head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 1, 0, 64, 17, 0, socket.inet_aton(sender), bytes([169, 254, 169, 254]))
total = sum(struct.unpack("!10H", head))
total = (total & 0xFFFF) + (total >> 16)
total = (total & 0xFFFF) + (total >> 16)
head = head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:]
macs = b"".join(bytes.fromhex(mac.replace(":", "")) for mac in (to, own))
frame = macs + bytes.fromhex("81000000") * tags + bytes.fromhex("0800") + head + struct.pack("!HHHH", 9, 9, 8, 0)
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind(("eth0", 0))
raw.send(frame)
"""


def closed(_ports) -> Surroundings:
    """Return what surrounds ports whose group lets nothing in or out."""
    return Surroundings(groups={CLOSED: []})


def who(network_id: UUID, address: str, question: Question) -> Answer:
    return Answer(200, json.dumps([str(network_id), address, question.path.decode()]).encode())


class Running:
    """The service in a thread of this process."""

    def __init__(self, tag: str) -> None:
        self.service = Service(tag, who, address=metadata_address.ADDRESS, port=metadata_address.PORT)
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._started.set()
        await self.service.run()

    def __enter__(self) -> "Running":
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.service.stop)
        self._thread.join()


@pytest.fixture
def tag():
    """A tag of this test's own; whatever happens, nothing of it stays."""
    tag = "".join(random.choices(string.ascii_lowercase, k=names.TAG_LENGTH))
    yield tag
    presence.remove_all(tag)
    assert seen_from_outside(tag) == NOTHING


@pytest.fixture
def service(tag):
    with Running(tag) as running:
        yield running


def ask(guest: Guest, path: str = "/openstack") -> list[str] | None:
    """Return network, address and path as the service saw them, nothing where it does not answer."""
    said = guest.do(sys.executable, "-c", ASK, path, str(3 * patience()))
    return json.loads(said.stdout) if said.returncode == 0 else None


def until(look, what: str):
    """Return what look says, as soon as it says something."""
    deadline = time.monotonic() + WAIT_S * patience()
    while not (seen := look()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return seen


def asked(guest: Guest) -> list[str]:
    return until(lambda: ask(guest), "the service does not answer")


def is_answered(network) -> bool:
    home = namespaces.present(network.tag).get(network.namespace)
    if home is None:
        return False
    return namespaces.answers(home, metadata_address.ADDRESS, metadata_address.PORT, timeout_s=1.0)


def with_metadata(network):
    return dataclasses.replace(network, metadata_ip=metadata_address.ADDRESS)


def test_a_guest_with_the_address_of_its_lease_is_answered_as_itself(tag, service, tmp_path):
    network = with_metadata(network_facts(tag))
    ports = [port_facts(network, 3), port_facts(network, 4)]
    connect(ports)
    with Guest(ports[0], tmp_path) as one, Guest(ports[1], tmp_path) as two:
        for guest, address in ((one, "10.0.0.3"), (two, "10.0.0.4")):
            assert guest.lease()["ip"] == address
            assert asked(guest) == [network.id, address, "/openstack"]
    linux.disconnect(ports)


def test_two_tenants_with_the_same_range_are_told_apart(tag, service, tmp_path):
    ports = [port_facts(with_metadata(network_facts(tag)), 3) for _ in range(2)]
    connect(ports)
    with Guest(ports[0], tmp_path) as one, Guest(ports[1], tmp_path) as other:
        for guest, port in ((one, ports[0]), (other, ports[1])):
            guest.set_address()
            assert asked(guest) == [port.network_id, "10.0.0.3", "/openstack"]
    linux.disconnect(ports)


@pytest.mark.parametrize("kind", ["without a gateway", "external"])
def test_where_the_namespace_is_no_gateway_the_lease_says_the_way(tag, service, tmp_path, kind):
    cidr = f"172.27.{random.randrange(256)}.0/24"
    network = with_metadata(network_facts(tag, cidr, external=kind == "external"))
    subnet = network.subnets[0]
    gateway = subnet.gateway if kind == "external" else None
    routes = metadata_address.routes([], dhcp_address=subnet.dhcp_address, gateway_in_namespace=False)
    network = dataclasses.replace(
        network, subnets=[dataclasses.replace(subnet, gateway=gateway, routes=routes)]
    )
    port = port_facts(network, 3)
    connect([port])
    with Guest(port, tmp_path) as guest:
        words = guest.lease()["staticroutes"].split()
        told = dict(zip(words[::2], words[1::2], strict=True))
        assert told["169.254.169.254/32"] == subnet.dhcp_address
        assert told.get("0.0.0.0/0") == gateway
        guest.do("ip", "route", "add", "169.254.169.254/32", "via", told["169.254.169.254/32"], check=True)
        assert asked(guest)[:2] == [network.id, port.fixed_ips[0].address]
    linux.disconnect([port])


def test_security_groups_that_let_nothing_pass_let_a_guest_ask_and_nothing_else(tag, service, tmp_path):
    port = port_facts(with_metadata(network_facts(tag)), 3, groups=[CLOSED])
    connect([port], closed)
    with Guest(port, tmp_path) as guest:
        guest.set_address()
        assert asked(guest)[1] == "10.0.0.3"
        assert not guest.reaches("10.0.0.1")
        assert not guest.reaches("169.254.169.254")
    linux.disconnect([port])


@pytest.mark.parametrize(
    "kind", ["secured", "with a pair of its neighbour's address", "without port security"]
)
def test_nobody_asks_by_a_neighbours_address(tag, service, tmp_path, kind):
    network = with_metadata(network_facts(tag))
    victim = port_facts(network, 3)
    more = {"secured": {}, "without port security": {"anti_spoofing": False}}.get(kind)
    thief = port_facts(network, 4, **(more if more is not None else {}))
    if more is None:
        thief = dataclasses.replace(thief, pairs=[AddressPair(thief.mac, "10.0.0.3/32")])
    connect([victim, thief])
    with Guest(thief, tmp_path) as guest:
        guest.set_address()
        assert asked(guest)[1] == "10.0.0.4"
        guest.do("ip", "addr", "add", "10.0.0.3/24", "dev", "eth0", check=True)
        said = guest.do(sys.executable, "-c", ASK_FROM, "10.0.0.3")
        assert "connected" not in said.stdout
        assert guest.do(sys.executable, "-c", ASK_FROM, "10.0.0.4").stdout == "connected\n"
    linux.disconnect([victim, thief])


@pytest.mark.parametrize("tags", [0, 1, 2])
def test_no_frame_brings_a_neighbours_address_before_the_service_however_it_is_wrapped(tag, tmp_path, tags):
    network = with_metadata(network_facts(tag))
    victim, thief = port_facts(network, 3), port_facts(network, 4, anti_spoofing=False)
    connect([victim, thief])
    [home] = namespaces.present(tag).values()
    with Guest(thief, tmp_path) as guest, namespaces.within(home, _sniffer) as seen:
        guest.set_address()
        assert guest.reaches("10.0.0.1")
        for sender, wrapped in (("10.0.0.3", tags), ("10.0.0.4", 2), ("10.0.0.4", 0)):
            guest.do(sys.executable, "-c", FORGE, sender, str(wrapped), check=True)
        assert _first_sender(seen) == "10.0.0.4"
        assert _senders(seen) == []
    linux.disconnect([victim, thief])


def _sniffer() -> socket.socket:
    """Return a socket that sees all that the namespace, which it is made in, is brought."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
    made.bind(("eth0", 0x0003))
    made.settimeout(WAIT_S * patience())
    return made


def _senders(seen: socket.socket) -> list[str]:
    seen.settimeout(0.3)
    found = []
    try:
        while True:
            found.append(_first_sender(seen))
    except TimeoutError:
        return found


def _first_sender(seen: socket.socket) -> str:
    """Return who sends the next packet to the service; it may still be wrapped in tags."""
    while True:
        packet, (_, _, kind, *_) = seen.recvfrom(2048)
        if kind != socket.PACKET_OUTGOING and (at := packet.find(bytes([169, 254, 169, 254]))) >= 16:
            return socket.inet_ntoa(packet[at - 4 : at])


def test_a_guest_with_several_addresses_is_known_by_each(tag, service, tmp_path):
    network = with_metadata(network_facts(tag))
    port = port_facts(network, 3)
    more = dataclasses.replace(port.fixed_ips[0], address="10.0.0.9")
    port = dataclasses.replace(port, fixed_ips=[*port.fixed_ips, more])
    connect([port])
    with Guest(port, tmp_path) as guest:
        guest.set_address()
        asked(guest)
        guest.do("ip", "addr", "add", "10.0.0.9/24", "dev", "eth0", check=True)
        assert guest.do(sys.executable, "-c", ASK_FROM, "10.0.0.9").stdout == "connected\n"
    linux.disconnect([port])


def test_a_network_that_goes_is_let_go_with_all_connections_in_it(tag, service, tmp_path):
    network = with_metadata(network_facts(tag))
    port = port_facts(network, 3)
    connect([port])
    with Guest(port, tmp_path) as guest:
        guest.set_address()
        asked(guest)
        [home] = namespaces.present(tag).values()
        assert _held(home.number)
        holding = guest.start(
            "import socket; s = socket.create_connection(('169.254.169.254', 80)); print('in', flush=True); input()"
        )
        assert holding.stdout.readline() == "in\n"
        linux.disconnect([port])
        until(lambda: not _held(home.number), "the service keeps the namespace alive")
        holding.communicate("\n")
        connect([port])  # the same names again, and another namespace behind them
        run("ip", "link", "set", port.tap, "master", port.bridge, "up", check=False)
        [again] = namespaces.present(tag).values()
        assert again.namespace == home.namespace
        until(lambda: is_answered(network), "the network that came back is not answered")
    linux.disconnect([port])


def _held(number: int) -> bool:
    """Tell whether this process, in which the service runs, has a socket in a namespace: that keeps it alive."""
    return any(_is_in(number, int(name)) for name in os.listdir("/proc/self/fd"))


def _is_in(number: int, descriptor: int) -> bool:
    try:
        home = fcntl.ioctl(descriptor, SIOCGSKNS)
    except OSError:  # no socket, or closed by now
        return False
    try:
        return os.fstat(home).st_ino == number
    finally:
        os.close(home)


def test_it_finds_what_was_there_before_it_and_after_it_was_killed(tag, tmp_path):
    port = port_facts(with_metadata(network_facts(tag)), 3)
    connect([port])
    with Guest(port, tmp_path) as guest:
        guest.set_address()
        for _ in range(2):
            with Running(tag):
                assert asked(guest)[1] == "10.0.0.3"
            assert not is_answered(port.network)
    linux.disconnect([port])


def test_one_that_comes_takes_over_from_one_that_goes(tag, tmp_path):
    network = with_metadata(network_facts(tag))
    port = port_facts(network, 3)
    connect([port])
    with ExitStack() as second:
        with Running(tag):
            until(lambda: is_answered(network), "the first does not answer")
            second.enter_context(Running(tag))
        until(lambda: is_answered(network), "the second has not taken over")
    linux.disconnect([port])


def test_a_name_without_a_namespace_and_others_namespaces_are_left_alone(tag, service, tmp_path):
    other = f"cc{tag}nstranger"
    half = namespaces.links.NAMESPACES / f"cc{tag}nhalfmade"
    half.touch()
    run("ip", "netns", "add", other)
    try:
        port = port_facts(with_metadata(network_facts(tag)), 3)
        connect([port])
        until(lambda: is_answered(port.network), "it does not answer in the network")
        assert set(namespaces.present(tag)) == {port.network.namespace}
        inside = run("nsenter", f"--net={namespaces.links.NAMESPACES / other}", "ss", "-ltnH").stdout
        assert inside == ""
        linux.disconnect([port])
    finally:
        run("ip", "netns", "del", other)
        half.unlink(missing_ok=True)


def test_many_networks_that_come_and_go_leave_no_socket(tag, service):
    first, *others = [port_facts(with_metadata(network_facts(tag)), 3) for _ in range(7)]
    connect([first])
    until(lambda: is_answered(first.network), "the first network is not answered")  # all that it has is open
    before = len(os.listdir("/proc/self/fd"))
    for port in others:
        connect([port])
    for port in others:
        until(lambda port=port: is_answered(port.network), "a network is not answered")
    linux.disconnect([first, *others])
    until(lambda: len(os.listdir("/proc/self/fd")) <= before, "sockets are left")


def test_one_guests_many_connections_do_not_keep_another_from_its_answer(tag, service, tmp_path):
    network = with_metadata(network_facts(tag))
    ports = [port_facts(network, 3), port_facts(network, 4)]
    connect(ports)
    hold = (
        "import socket\nheld = []\nfor _ in range(200):\n"
        "    s = socket.socket(); s.settimeout(1)\n"
        "    try: s.connect(('169.254.169.254', 80)); held.append(s)\n    except OSError: pass\n"
        "print('held', flush=True); input()"
    )
    with Guest(ports[0], tmp_path) as greedy, Guest(ports[1], tmp_path) as other:
        greedy.set_address()
        other.set_address()
        asked(greedy)
        holding = greedy.start(hold)
        assert holding.stdout.readline() == "held\n"
        assert ask(other) == [network.id, "10.0.0.4", "/openstack"]
        holding.communicate("\n")
    linux.disconnect(ports)


@pytest.fixture
def rows(transactional_db):
    """The database of this process as one that others can read, and the installation's own tag."""
    selectors.tag.cache_clear()
    yield selectors.tag()
    presence.remove_all(selectors.tag())
    selectors.tag.cache_clear()


@pytest.fixture
def process(rows, tmp_path):
    """A function that starts the service as the supervisor does, on the database of the tests."""
    state = tmp_path / "state"
    state.mkdir()
    (state / "computecloud.sqlite3").symlink_to(connection.settings_dict["NAME"])
    environment = {**os.environ, "COMPUTECLOUD_STATE_DIR": str(state), "COMPUTECLOUD_HOST_NAME": CONFIG.host}
    started = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "computecloud", "metadata"]
        started.append(subprocess.Popen(command, env=environment, text=True))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.wait()


@pytest.mark.skipif(
    connection.vendor != "sqlite", reason="the process is given the tests' database as a file"
)
def test_the_process_tells_two_tenants_their_own_from_the_database_and_outlives_a_kill(
    rows, process, tmp_path
):
    ports, names_of = [], {}
    for name in ("one", "other"):
        tenant = Tenant()
        network = a_network(tenant.caller)
        a_subnet(tenant.caller, network)
        server = a_server(tenant, name=name)
        [port] = bind(server.id, tenant.project_id, CONFIG.host, [PlannedNic(str(network.id))])
        names_of[port.network_id] = name
        ports.append(port)
    connect(ports, partial(surroundings.of, host=CONFIG.host))
    running = process()
    with Guest(ports[0], tmp_path) as one, Guest(ports[1], tmp_path) as other:
        for guest in (one, other):
            assert guest.lease()["ip"] == "10.0.0.3"
        for _ in range(2):
            for guest in (one, other):
                assert _told(guest)["name"] == names_of[guest.port.network_id]
            running.kill()
            assert running.wait() == -signal.SIGKILL
            assert ask(one) is None
            running = process()
        _told(one)
        running.terminate()
        assert running.wait(30 * patience()) == 0
    linux.disconnect(ports)


def _told(guest: Guest) -> dict[str, str]:
    return until(lambda: ask(guest, "/openstack/latest/meta_data.json"), "the process does not answer")
