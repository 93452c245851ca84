"""The wiring of a host: bridges, namespaces, DHCP and rules for the ports whose guests run here.

All calls converge: made twice they leave what they leave when made once, and made on what a killed process left
half-way they finish the rest. They hold the host's lock, so only one of them is at work at a time. With a driver whose
guests have no tap devices there is nothing to do, and nothing is done.
"""

from collections.abc import Sequence

from hypervisors.driver import Capability
from networking.facts import PortFacts
from networking.wiring import linux
from networking.wiring.presence import Thing, present, remove, remove_all, wanted
from workers.driver import driver

__all__ = ["Thing", "connect", "disconnect", "present", "remove", "remove_all", "wanted", "wires"]


def wires() -> bool:
    """Tell whether the guests of this process's driver need any wiring."""
    return Capability.TAP_DEVICES in driver().capabilities


def connect(facts: Sequence[PortFacts]) -> None:
    """Have the ports' networks here, with DHCP and rules for each port, before their tap devices are made.

    Raises WiringFailed.
    """
    if facts and wires():
        linux.connect(facts)


def disconnect(facts: Sequence[PortFacts]) -> None:
    """Take the ports away, and with the last port of a network all that was made for it; raises WiringFailed."""
    if facts and wires():
        linux.disconnect(facts)
