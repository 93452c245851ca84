"""Security groups on a real host: what passes and what does not, by packets between guests that namespaces play."""

import random
import select
import string
from contextlib import ExitStack
from uuid import uuid4

import pytest

from networking import names
from networking.facts import AddressPair, RuleFacts, Surroundings
from networking.wiring import linux, memory, presence
from tests.networking.host import (
    OPEN,
    Guest,
    connect,
    network_facts,
    open_around,
    port_facts,
    run,
    seen_from_outside,
)
from tests.networking.test_wire import NOTHING

pytestmark = pytest.mark.guest

CLOSED, WEB, FRIENDS = (str(uuid4()) for _ in range(3))
OUT = [RuleFacts(ingress=False, version=version) for version in (4, 6)]


@pytest.fixture
def tag():
    """A tag of this test's own; whatever happens, nothing of it stays."""
    tag = "".join(random.choices(string.ascii_lowercase, k=names.TAG_LENGTH))
    yield tag
    presence.remove_all(tag)
    assert seen_from_outside(tag) == NOTHING


def around(groups: dict[str, list[RuleFacts]], members: dict[str, list[str]] | None = None):
    """Return what a host sees around its ports: these groups beside the open one."""
    found = Surroundings(groups={**open_around(()).groups, **groups}, members=members or {})
    return lambda _ports: found


def tcp(low: int, high: int | None = None, **remote: str) -> RuleFacts:
    return RuleFacts(ingress=True, version=4, protocol=6, low=low, high=high or low, **remote)


class Talk:
    """Servers in guests, and whether one guest gets an answer of another."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def serve(self, guest: Guest, port: int) -> None:
        folder = guest.folder / guest.name
        folder.mkdir(exist_ok=True)
        (folder / "hello").write_text("hello")
        address = guest.port.fixed_ips[0].address
        guest.do("busybox", "httpd", "-p", f"{address}:{port}", "-h", str(folder), check=True)
        self._stack.callback(_end, f"httpd -p {address}:{port}")

    def reaches(self, guest: Guest, other: Guest, port: int) -> bool:
        url = f"http://{other.port.fixed_ips[0].address}:{port}/hello"
        return guest.do("timeout", "2", "busybox", "wget", "-q", "-O", "-", url).stdout == "hello"


def _end(words: str) -> None:
    for line in run("ps", "-eo", "pid,args").stdout.splitlines():
        if words in line:
            run("kill", line.split()[0], check=False)


@pytest.fixture
def talk():
    with ExitStack() as stack:
        yield Talk(stack)


def guests(stack: ExitStack, tmp_path, ports) -> list[Guest]:
    entered = [stack.enter_context(Guest(port, tmp_path)) for port in ports]
    for guest in entered:
        guest.set_address()
    return entered


def test_nothing_comes_in_that_no_rule_lets_in_but_answers_do(tag, tmp_path, talk):
    network = network_facts(tag)
    ports = [port_facts(network, 3, groups=[CLOSED]), port_facts(network, 4)]
    connect(ports, around({CLOSED: OUT}))
    with ExitStack() as stack:
        closed, open_one = guests(stack, tmp_path, ports)
        talk.serve(closed, 80)
        talk.serve(open_one, 80)
        assert not open_one.reaches("10.0.0.3")
        assert not talk.reaches(open_one, closed, 80)
        assert closed.reaches("10.0.0.4")
        assert closed.reaches("10.0.0.1")
        assert talk.reaches(closed, open_one, 80)
    linux.disconnect(ports)


def test_ports_ranges_prefixes_and_icmp_types_are_told_apart(tag, tmp_path, talk):
    network = network_facts(tag)
    ports = [port_facts(network, 3, groups=[WEB]), port_facts(network, 4), port_facts(network, 5)]
    rules = [
        *OUT,
        tcp(80, 81, prefix="10.0.0.4/32"),
        tcp(81, 90, prefix="10.0.0.4/32"),
        tcp(8080),
        RuleFacts(ingress=True, version=4, protocol=1, low=8, high=0, prefix="10.0.0.5/32"),
    ]
    connect(ports, around({WEB: rules}))
    with ExitStack() as stack:
        web, four, five = guests(stack, tmp_path, ports)
        for port in (80, 90, 91, 8080):
            talk.serve(web, port)
        assert [talk.reaches(four, web, port) for port in (80, 90, 91, 8080)] == [True, True, False, True]
        assert [talk.reaches(five, web, port) for port in (80, 90, 91, 8080)] == [False, False, False, True]
        assert (four.reaches("10.0.0.3"), five.reaches("10.0.0.3")) == (False, True)
    linux.disconnect(ports)


def test_a_rule_that_names_a_group_lets_in_its_members_alone(tag, tmp_path, talk):
    network = network_facts(tag)
    ports = [port_facts(network, 3, groups=[WEB]), port_facts(network, 4), port_facts(network, 5)]
    rules = {WEB: [*OUT, tcp(80, group=FRIENDS)]}
    connect(ports, around(rules, {FRIENDS: ["10.0.0.4"]}))
    with ExitStack() as stack:
        web, friend, other = guests(stack, tmp_path, ports)
        talk.serve(web, 80)
        assert (talk.reaches(friend, web, 80), talk.reaches(other, web, 80)) == (True, False)
        linux.follow(tag, lambda: ports, around(rules, {FRIENDS: ["10.0.0.5"]}))
        assert (talk.reaches(friend, web, 80), talk.reaches(other, web, 80)) == (False, True)
    linux.disconnect(ports)


def test_a_newcomer_is_known_to_those_here_whose_rules_name_its_group(tag, tmp_path, talk):
    network = network_facts(tag)
    guard, friend = port_facts(network, 3, groups=[WEB]), port_facts(network, 4, groups=[FRIENDS])
    rules = {WEB: [*OUT, tcp(80, group=FRIENDS)], FRIENDS: OUT}
    addresses: list[str] = []

    def look(ports) -> Surroundings:
        groups = {group: rules[group] for port in ports for group in port.groups}
        named = {rule.group for mine in groups.values() for rule in mine if rule.group}
        return Surroundings(groups=groups, members={group: list(addresses) for group in named})

    connect([guard], look)
    addresses.append("10.0.0.4")
    connect([friend], look)
    with ExitStack() as stack:
        web, other = guests(stack, tmp_path, [guard, friend])
        talk.serve(web, 80)
        assert talk.reaches(other, web, 80)
    linux.disconnect([guard, friend])


LISTEN = """
import socket, sys
server = socket.create_server((sys.argv[1], 7000))
print("ready", flush=True)
connection, _ = server.accept()
for line in connection.makefile():
    print(line, end="", flush=True)
"""
TALK = """
import socket, sys
connection = socket.create_connection((sys.argv[1], 7000), timeout=60)
for line in sys.stdin:
    connection.sendall(line.encode())
"""


def hears(process, *, within_s: float) -> str:
    """Return the next line that the process prints, or nothing."""
    return process.stdout.readline().strip() if select.select([process.stdout], [], [], within_s)[0] else ""


def say(process, words: str) -> None:
    process.stdin.write(f"{words}\n")
    process.stdin.flush()


def test_a_rule_that_goes_cuts_the_connection_that_it_let_in(tag, tmp_path):
    network = network_facts(tag)
    ports = [port_facts(network, 3, groups=[WEB]), port_facts(network, 4)]
    open_to_it = around({WEB: [*OUT, tcp(7000)]})
    connect(ports, open_to_it)
    with ExitStack() as stack:
        web, other = guests(stack, tmp_path, ports)
        listener = web.start(LISTEN, "10.0.0.3")
        stack.callback(end, listener)
        assert hears(listener, within_s=60) == "ready"
        talker = other.start(TALK, "10.0.0.3")
        stack.callback(end, talker)
        say(talker, "one")
        assert hears(listener, within_s=60) == "one"
        assert linux.follow(tag, lambda: ports, around({WEB: OUT}))
        say(talker, "two")
        assert hears(listener, within_s=3) == ""
        assert linux.follow(tag, lambda: ports, open_to_it)
        assert hears(listener, within_s=60) == "two"  # TCP tries again, and the rule is back
    linux.disconnect(ports)


def end(process) -> None:
    process.kill()
    process.communicate()


def test_a_port_without_groups_gets_its_lease_and_nothing_else(tag, tmp_path):
    network = network_facts(tag)
    ports = [port_facts(network, 3, groups=[]), port_facts(network, 4)]
    connect(ports)
    with Guest(ports[0], tmp_path) as alone, Guest(ports[1], tmp_path) as other:
        assert alone.lease()["ip"] == "10.0.0.3"
        other.set_address()
        assert not alone.reaches("10.0.0.4")
        assert not other.reaches("10.0.0.3")
    linux.disconnect(ports)


def test_a_pair_lets_a_port_use_another_address_and_card(tag, tmp_path):
    network = network_facts(tag)
    plain, paired = port_facts(network, 3), port_facts(network, 4)
    pairs = [AddressPair(paired.mac, "10.0.0.128/25"), AddressPair("fa:00:00:00:00:99", "10.0.0.99")]
    ports = [plain, port_facts(network, 4, port_id=_id(paired), pairs=pairs)]
    connect(ports)
    with ExitStack() as stack:
        one, two = guests(stack, tmp_path, ports)
        for guest, forged, passes in (
            (one, "10.0.0.200", False),
            (two, "10.0.0.200", True),
            (two, "10.0.0.98", False),
        ):
            guest.do("ip", "addr", "add", f"{forged}/24", "dev", "eth0", check=True)
            ping = ["busybox", "ping", "-c", "1", "-W", "1", "-I", forged, "10.0.0.1"]
            assert (guest.do(*ping).returncode == 0) is passes, forged
            guest.do("ip", "addr", "del", f"{forged}/24", "dev", "eth0", check=True)
        two.do("ip", "addr", "flush", "dev", "eth0", check=True)
        two.do("ip", "link", "set", "eth0", "address", "fa:00:00:00:00:99", check=True)
        two.do("ip", "addr", "add", "10.0.0.99/24", "dev", "eth0", check=True)
        assert two.reaches("10.0.0.1")
    linux.disconnect(ports)


def _id(port):
    from uuid import UUID

    return UUID(port.port_id)


def test_without_port_security_anything_passes(tag, tmp_path):
    network = network_facts(tag)
    ports = [port_facts(network, 3, anti_spoofing=False, groups=[]), port_facts(network, 4)]
    connect(ports)
    with ExitStack() as stack:
        free, other = guests(stack, tmp_path, ports)
        assert other.reaches("10.0.0.3")
        free.do("ip", "addr", "add", "10.0.0.77/24", "dev", "eth0", check=True)
        assert free.do("busybox", "ping", "-c", "1", "-W", "1", "-I", "10.0.0.77", "10.0.0.4").returncode == 0
    linux.disconnect(ports)


def test_a_port_that_is_switched_off_is_silent_until_it_is_on_again(tag, tmp_path):
    network = network_facts(tag)
    on = port_facts(network, 3)
    off = port_facts(network, 3, port_id=_id(on), admin_up=False)
    other = port_facts(network, 4)
    connect([on, other])
    with ExitStack() as stack:
        one, _ = guests(stack, tmp_path, [on, other])
        assert one.reaches("10.0.0.4")
        linux.follow(tag, lambda: [off, other], open_around)
        assert not one.reaches("10.0.0.4")
        assert "state DOWN" in run("ip", "link", "show", on.tap).stdout
        linux.follow(tag, lambda: [on, other], open_around)
        assert one.comes_to_reach("10.0.0.4")
    linux.disconnect([on, other])


def test_two_tenants_with_the_same_addresses_have_connections_of_their_own(tag, tmp_path, talk):
    """The second tenant's client speaks from the same port to the same address: its packets are no answers."""
    networks = [network_facts(tag), network_facts(tag)]
    ports = [port_facts(network, last, groups=[CLOSED]) for network in networks for last in (3, 4)]
    connect(ports, around({CLOSED: OUT}))
    with ExitStack() as stack:
        one, _, _, other = guests(stack, tmp_path, ports)
        send = "echo x | busybox timeout 1 busybox nc -u -p {} -w 1 {} {}"
        one.do("sh", "-c", send.format(5000, "10.0.0.4", 6000))
        before = _passed(tag, ports[2].tap)
        other.do("sh", "-c", send.format(6000, "10.0.0.3", 5000))
        assert _passed(tag, ports[2].tap) == before
    linux.disconnect(ports)


def _passed(tag: str, tap: str) -> int:
    """Return how many IP packets a guest was handed, by the counters of the other end of its cable."""
    words = run("ip", "netns", "exec", f"guest-{tap}", "cat", "/proc/net/snmp").stdout.splitlines()
    return int(
        next(line for line in words if line.startswith("Udp:") and line.split()[1].isdigit()).split()[2]
    )


def test_following_brings_no_port_that_is_not_here_and_says_so(tag):
    network = network_facts(tag)
    here, coming = port_facts(network, 3), port_facts(network, 4)
    connect([here])
    assert linux.follow(tag, lambda: [here], open_around)
    assert not linux.follow(tag, lambda: [here, coming], open_around)
    assert [port.tap for port in memory.all_ports(tag)] == [here.tap]
    linux.disconnect([here])
    assert not linux.follow(tag, lambda: [here], open_around)
    assert memory.all_ports(tag) == []


def test_thousands_of_rules_are_a_few_lines_and_are_loaded_at_once(tag, tmp_path, talk):
    network = network_facts(tag)
    ports = [port_facts(network, 3, groups=[WEB]), port_facts(network, 4)]
    many = [tcp(80, prefix=f"192.168.{at // 250}.{at % 250}/32") for at in range(2_000)]
    many += [tcp(port) for port in range(10_000, 12_000)]
    connect(ports, around({WEB: [*OUT, *many]}))
    listed = run("nft", "list", "chain", "bridge", names.table(tag), f"g{WEB.replace('-', '')}_in").stdout
    assert listed.count("accept") == 2
    with ExitStack() as stack:
        web, other = guests(stack, tmp_path, ports)
        talk.serve(web, 11_999)
        talk.serve(web, 80)
        assert talk.reaches(other, web, 11_999)
        assert not talk.reaches(other, web, 80)
    linux.disconnect(ports)


def test_groups_that_nobody_here_has_any_more_are_gone(tag):
    network = network_facts(tag)
    stays, goes = port_facts(network, 3), port_facts(network, 4, groups=[WEB])
    connect([stays, goes], around({WEB: [*OUT, tcp(80, group=FRIENDS)]}, {FRIENDS: ["10.0.0.9"]}))
    assert "10.0.0.9" in run("nft", "list", "ruleset").stdout
    linux.disconnect([goes])
    listed = run("nft", "list", "ruleset").stdout
    assert WEB.replace("-", "") not in listed
    assert "10.0.0.9" not in listed
    assert OPEN.replace("-", "") in listed
    linux.disconnect([stays])
