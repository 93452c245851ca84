"""Guests of one network on two hosts, which namespaces play: they meet over VXLAN, each served by its own host."""

import json
import os
import random
import string
import subprocess
import sys
from pathlib import Path

import pytest

from networking import names
from networking.facts import PortFacts
from tests.networking.host import network_facts, port_facts

pytestmark = pytest.mark.guest

ROOM = Path(__file__).resolve().parents[1] / "cloud" / "room"
HOST = """
import json, os, sys
import django
django.setup()
from pathlib import Path
from networking.facts import PortFacts, RuleFacts, Surroundings
from networking.wiring import linux, presence
from tests.networking.host import Guest, open_around
import msgspec
guests = {}
print(json.dumps("here"), flush=True)
for line in sys.stdin:
    call = json.loads(line)
    answer = None
    ports = [PortFacts.from_json(port) for port in call.get("ports", [])]
    peers = call.get("peers", {})
    look = lambda _ports: Surroundings(groups=open_around(()).groups, peers=peers)
    if call["do"] == "connect":
        linux.connect(ports, look)
    elif call["do"] == "enter":
        for port in ports:
            guests[port.port_id] = Guest(port, Path(call["folder"])).__enter__()
    elif call["do"] == "lease":
        answer = guests[call["port"]].lease()
    elif call["do"] == "ping":
        answer = guests[call["port"]].reaches(call["address"])
    elif call["do"] == "run":
        answer = __import__("subprocess").run(call["words"], capture_output=True, text=True).stdout
    elif call["do"] == "leave":
        for guest in guests.values():
            guest.__exit__()
        guests.clear()
        linux.disconnect(ports)
        answer = [thing.name for thing in presence.present(call["tag"])]
    print(json.dumps(answer), flush=True)
"""


class FarHost:
    """A host in a room of its own, with one cable to the others, told what to do line by line."""

    def __init__(self, number: int, folder: Path) -> None:
        self.underlay_ip = f"10.78.0.{number}"
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "computecloud.settings",
            "COMPUTECLOUD_UNDERLAY_IP": self.underlay_ip,
        }
        self._process = subprocess.Popen(
            [ROOM, sys.executable, "-c", HOST],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.folder = folder / str(number)
        self.folder.mkdir()
        assert json.loads(self._process.stdout.readline()) == "here"
        self._link(number)

    def _link(self, number: int) -> None:
        [child] = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        run = lambda *words: subprocess.run(words, check=True)  # noqa: E731
        run("ip", "link", "add", f"ul{number}", "type", "veth", "peer", "name", "ul0", "netns", child)
        run("ip", "link", "set", f"ul{number}", "master", "wire", "up")
        inside = ["nsenter", "-t", child, "-n", "ip"]
        run(*inside, "addr", "add", f"{self.underlay_ip}/24", "dev", "ul0")
        run(*inside, "link", "set", "ul0", "up")

    def call(self, do: str, **words):
        """Have the host do something; returns its answer."""
        self._process.stdin.write(json.dumps({"do": do, **words}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=30)


@pytest.fixture
def far_hosts(tmp_path):
    subprocess.run(["ip", "link", "add", "wire", "type", "bridge", "forward_delay", "0"], check=True)
    subprocess.run(["ip", "link", "set", "wire", "up"], check=True)
    hosts = [FarHost(number, tmp_path) for number in (1, 2)]
    yield hosts
    for host in hosts:
        host.end()
    subprocess.run(["ip", "link", "del", "wire"], check=True)


def plain(*ports: PortFacts):
    import dataclasses

    return [dataclasses.asdict(port) for port in ports]


def test_guests_on_two_hosts_meet_and_each_is_served_by_its_own(far_hosts):
    tag = "".join(random.choices(string.ascii_lowercase, k=names.TAG_LENGTH))
    network = network_facts(tag, vni=4711)
    one, two = port_facts(network, 3), port_facts(network, 4)
    here, there = far_hosts
    for host, port, other in ((here, one, there), (there, two, here)):
        host.call("connect", ports=plain(port), peers={network.id: [other.underlay_ip]})
        host.call("enter", ports=plain(port), folder=str(host.folder))
        lease = host.call("lease", port=port.port_id)
        assert (lease["ip"], lease["mtu"]) == (port.fixed_ips[0].address, "1450")
    assert here.call("ping", port=one.port_id, address="10.0.0.4")
    assert there.call("ping", port=two.port_id, address="10.0.0.3")
    assert there.call("ping", port=two.port_id, address="10.0.0.1")
    here.call("connect", ports=plain(one), peers={network.id: []})
    assert not here.call("ping", port=one.port_id, address="10.0.0.4")
    assert network.wire not in here.call("run", words=["ip", "-o", "link"])
    here.call("connect", ports=plain(one), peers={network.id: [there.underlay_ip]})
    assert here.call("ping", port=one.port_id, address="10.0.0.4")
    for host, port in ((here, one), (there, two)):
        assert host.call("leave", ports=plain(port), tag=tag) == []
