"""What a running guest has used, asked of its host, in the two forms that the Compute API has had."""

from typing import Any

from django.utils import timezone

from instances.models import Instance
from instances.states import PowerState
from instances.transitions import WrongState
from workers.ask import ask

_RATE = {"rx_rate": None, "tx_rate": None}
_OF_NICS = tuple(f"{way}_{what}" for way in ("rx", "tx") for what in ("octets", "packets", "errors", "drop"))
KIB_IN_MIB = 1024


def figures(instance: Instance) -> dict[str, Any]:
    """Return hypervisors.driver.GuestFigures as JSON.

    Raises WrongState where the guest does not run, Unavailable where its host does not answer.
    """
    if instance.power_state != PowerState.RUNNING or instance.host is None:
        state = PowerState(instance.power_state).name.lower()
        raise WrongState("get_diagnostics", instance.id, "power state", state)
    where = {"node": instance.node, "instance_id": str(instance.id)}
    found: dict[str, Any] = ask(instance.host, "diagnostics", where)
    return found


def standard(instance: Instance, found: dict[str, Any]) -> dict[str, Any]:
    """Return the form that is the same for every driver (from 2.48 on)."""
    launched = instance.launched_at
    return {
        "state": PowerState.RUNNING.name.lower(),
        "driver": found["driver"],
        "hypervisor": found["hypervisor"],
        "hypervisor_os": "linux",
        "uptime": int((timezone.now() - launched).total_seconds()) if launched else None,
        "config_drive": instance.config_drive,
        "num_cpus": len(found["cpu_times_ns"]),
        "num_disks": len(found["disks"]),
        "num_nics": len(found["nics"]),
        "cpu_details": [
            {"id": number, "time": time_ns, "utilisation": None}
            for number, time_ns in enumerate(found["cpu_times_ns"])
        ],
        "disk_details": [
            {
                **{key: value for key, value in disk.items() if key not in ("name", "errors")},
                "errors_count": disk["errors"],
            }
            for disk in found["disks"]
        ],
        "nic_details": [
            {"mac_address": nic["mac"], **_RATE, **{key: nic[key] for key in _OF_NICS}}
            for nic in found["nics"]
        ],
        "memory_details": {"maximum": found["memory_mib"], "used": found["memory_used_mib"]},
    }


def by_device(found: dict[str, Any]) -> dict[str, int]:
    """Return the older form: one figure a key, named after its device; memory in KiB."""
    shown = {f"cpu{number}_time": time_ns for number, time_ns in enumerate(found["cpu_times_ns"])}
    for disk in found["disks"]:
        named = {"read": "read_bytes", "read_req": "read_requests", "write": "write_bytes"}
        named |= {"write_req": "write_requests", "errors": "errors"}
        shown |= {f"{disk['name']}_{key}": disk[figure] for key, figure in named.items()}
    for nic in found["nics"]:
        shown |= {f"{nic['name']}_{key.removesuffix('_octets')}": nic[key] for key in _OF_NICS}
    shown["memory"] = found["memory_mib"] * KIB_IN_MIB
    shown["memory-rss"] = found["memory_used_mib"] * KIB_IN_MIB
    return shown
