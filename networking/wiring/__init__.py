"""The wiring of a host: bridges, namespaces, DHCP and rules for the ports whose guests run here.

All calls converge: made twice they leave what they leave when made once, and made on what a killed process left
half-way they finish the rest. They hold the host's lock, so only one of them is at work at a time. With a driver whose
guests have no tap devices there is nothing to do, and nothing is done. Importing this loads no database: an
installation is removed from a host without one.
"""

from collections.abc import Sequence
from functools import partial

from computecloud.config import CONFIG
from hypervisors.driver import Capability
from networking.facts import PortFacts
from networking.wiring import linux
from networking.wiring.presence import Thing, present, remove, remove_all, wanted
from workers.driver import driver

__all__ = ["Thing", "connect", "disconnect", "follow", "present", "remove", "remove_all", "wanted", "wires"]


def wires() -> bool:
    """Tell whether the guests of this process's driver need any wiring."""
    return Capability.TAP_DEVICES in driver().capabilities


def connect(facts: Sequence[PortFacts]) -> None:
    """Have the ports' networks here, with DHCP and rules for each port, before their tap devices are made.

    Raises WiringFailed.
    """
    if facts and wires():
        from networking import surroundings

        linux.connect(facts, partial(surroundings.of, host=CONFIG.host))


def follow(host: str) -> bool:
    """Have the ports that are on this host as the database says by now; raises WiringFailed.

    Returns False where a port that belongs here is still to come: then it must be looked at again.
    """
    from networking import selectors, surroundings

    read = partial(selectors.facts_on, host)
    return linux.follow(selectors.tag(), read, partial(surroundings.of, host=host))


def disconnect(facts: Sequence[PortFacts]) -> None:
    """Take the ports away, and with the last port of a network all that was made for it; raises WiringFailed."""
    if facts and wires():
        linux.disconnect(facts)
