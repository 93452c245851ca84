"""What a running domain has used: libvirt's statistics, as the contract's figures."""

from typing import Any

import libvirt
from lxml import etree

from hypervisors.driver import DiskFigures, GuestFigures, NicFigures

KIB_IN_MIB = 1024
_STATS = (
    libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)


def read(domain: Any, *, hypervisor: str) -> GuestFigures:
    """Ask libvirt for the statistics of one domain."""
    [(_, stats)] = domain.connect().domainListGetStats([domain], _STATS)
    macs = _macs(domain.XMLDesc(0))
    return GuestFigures(
        hypervisor=hypervisor,
        cpu_times_ns=tuple(
            int(stats.get(f"vcpu.{number}.time", 0)) for number in range(stats.get("vcpu.current", 0))
        ),
        memory_mib=int(stats.get("balloon.maximum", 0)) // KIB_IN_MIB,
        memory_used_mib=int(stats.get("balloon.rss", stats.get("balloon.current", 0))) // KIB_IN_MIB,
        disks=tuple(_disk(stats, f"block.{number}") for number in range(stats.get("block.count", 0))),
        nics=tuple(_nic(stats, f"net.{number}", macs) for number in range(stats.get("net.count", 0))),
    )


def _disk(stats: dict[str, Any], at: str) -> DiskFigures:
    return DiskFigures(
        name=str(stats[f"{at}.name"]),
        read_bytes=int(stats.get(f"{at}.rd.bytes", 0)),
        read_requests=int(stats.get(f"{at}.rd.reqs", 0)),
        write_bytes=int(stats.get(f"{at}.wr.bytes", 0)),
        write_requests=int(stats.get(f"{at}.wr.reqs", 0)),
    )


def _nic(stats: dict[str, Any], at: str, macs: dict[str, str]) -> NicFigures:
    def figure(key: str) -> int:
        return int(stats.get(f"{at}.{key}", 0))

    name = str(stats[f"{at}.name"])
    return NicFigures(
        name=name,
        mac=macs.get(name, ""),
        rx_octets=figure("rx.bytes"),
        rx_packets=figure("rx.pkts"),
        rx_errors=figure("rx.errs"),
        rx_drop=figure("rx.drop"),
        tx_octets=figure("tx.bytes"),
        tx_packets=figure("tx.pkts"),
        tx_errors=figure("tx.errs"),
        tx_drop=figure("tx.drop"),
    )


def _macs(xml: str) -> dict[str, str]:
    found = {}
    for interface in etree.fromstring(xml).iterfind("devices/interface"):
        target, mac = interface.find("target"), interface.find("mac")
        if target is not None and mac is not None:
            found[target.get("dev", "")] = mac.get("address", "")
    return found
