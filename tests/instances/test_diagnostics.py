"""What a running guest has used, in both forms, and who may ask."""

import dataclasses

import pytest

from hypervisors.driver import DiskFigures, GuestFigures, NicFigures
from instances.services import diagnostics
from tests.instances.conftest import a_server, refused
from workers.models import Host, Inquiry

FOUND = {
    "driver": "libvirt",
    **dataclasses.asdict(
        GuestFigures(
            hypervisor="qemu",
            cpu_times_ns=(5, 6),
            memory_mib=128,
            memory_used_mib=64,
            disks=(DiskFigures(name="vda", read_bytes=1, read_requests=2, write_bytes=3, write_requests=4),),
            nics=(NicFigures(name="tap0", mac="fa:16:3e:00:00:01", rx_octets=7, tx_drop=8),),
        )
    ),
}


@pytest.fixture
def asked(monkeypatch):
    monkeypatch.setattr(diagnostics, "ask", lambda *_: FOUND)


def path(instance):
    return f"/servers/{instance.id}/diagnostics"


def test_the_standard_form_has_exactly_nova_s_keys(admin, asked):
    shown = admin.get(path(a_server(admin, power_state=1, host="h1", node="n1"))).json()
    assert set(shown) == {
        *("state", "driver", "hypervisor", "hypervisor_os", "uptime", "config_drive"),
        *(
            "num_cpus",
            "num_disks",
            "num_nics",
            "cpu_details",
            "disk_details",
            "nic_details",
            "memory_details",
        ),
    }
    assert (shown["state"], shown["driver"], shown["num_cpus"]) == ("running", "libvirt", 2)
    assert shown["cpu_details"][1] == {"id": 1, "time": 6, "utilisation": None}
    assert shown["memory_details"] == {"maximum": 128, "used": 64}
    assert set(shown["disk_details"][0]) == {
        *("read_bytes", "read_requests", "write_bytes", "write_requests", "errors_count"),
    }
    assert set(shown["nic_details"][0]) == {
        "mac_address",
        *(
            f"{way}_{what}"
            for way in ("rx", "tx")
            for what in ("octets", "packets", "errors", "drop", "rate")
        ),
    }


def test_the_older_form_names_devices(admin, asked):
    shown = admin.at("2.47").get(path(a_server(admin, power_state=1, host="h1", node="n1"))).json()
    assert shown["cpu1_time"] == 6
    assert (shown["vda_read"], shown["vda_write_req"], shown["vda_errors"]) == (1, 4, 0)
    assert (shown["tap0_rx"], shown["tap0_tx_drop"]) == (7, 8)
    assert shown["memory"] == 128 * 1024


@pytest.mark.parametrize(
    ("power_state", "word"), [(0, "nostate"), (3, "paused"), (4, "shutdown"), (7, "suspended")]
)
def test_a_guest_that_does_not_run_has_none(admin, asked, power_state, word):
    instance = a_server(admin, power_state=power_state, host="h1", node="n1")
    assert refused(admin.get(path(instance)), 409) == (
        f"Cannot 'get_diagnostics' instance {instance.id} while it is in power state {word}"
    )


def test_admins_alone_may_ask(alice, bob, asked):
    instance = a_server(alice, power_state=1, host="h1", node="n1")
    refused(alice.get(path(instance)), 403)
    refused(bob.get(path(instance)), 403)


def test_a_host_that_is_down_does_not_answer(admin):
    Host.objects.create(name="h1", alive=False)
    answer = admin.get(path(a_server(admin, power_state=1, host="h1", node="n1")))
    assert (answer.status_code, Inquiry.objects.count()) == (503, 0)


def test_a_server_lies_on_no_numa_node_in_particular(alice, bob, server):
    instance = server()
    where = f"/servers/{instance.id}/topology"
    assert alice.get(where).json() == {"nodes": [], "pagesize_kb": None}
    refused(bob.get(where), 404)
    refused(alice.at("2.77").get(where), 404)
