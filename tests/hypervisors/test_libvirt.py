"""What only the libvirt driver does, with real guests."""

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import libvirt
import pytest
from lxml import etree

from hypervisors.driver import CallFailed, Driver, GuestEvent, GuestSpec, Nic, PowerState
from hypervisors.hardware import Hardware
from hypervisors.libvirt import domainxml, metadata
from hypervisors.libvirt.driver import LibvirtDriver
from hypervisors.libvirt.folders import GuestFolder
from hypervisors.registry import Options
from tests.hypervisors import tinyguest
from tests.hypervisors.conftest import HOST, make_spec, until
from tests.hypervisors.guests import GUESTS

pytestmark = pytest.mark.guest


@pytest.fixture
def driver_name() -> str:
    """Test the libvirt driver only."""
    return "libvirt"


@pytest.fixture
def connect(libvirt_uri: str) -> Iterator[libvirt.virConnect]:
    """Return a connection beside the driver's."""
    connect = libvirt.open(libvirt_uri)
    yield connect
    connect.close()


def boot(driver: Driver, spec: GuestSpec) -> None:
    """Make disks and guest."""
    driver.create_disks(HOST, spec)
    driver.start(HOST, spec)


NEEDS_MORE = {"uefi", "secure-boot", "tpm"}  # libvirt looks for OVMF and swtpm when such a guest is defined


@pytest.mark.parametrize("name", [name for name in GUESTS if name not in NEEDS_MORE])
def test_libvirt_finds_every_golden_guest_valid(
    name: str, connect: libvirt.virConnect, tmp_path: Path
) -> None:
    spec, platform = GUESTS[name]
    spec = replace(spec, uuid=uuid4(), name=f"cctest-{uuid4().hex[:12]}")
    xml, _ = domainxml.build(spec, platform, GuestFolder(tmp_path))
    domain = connect.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
    try:
        assert metadata.read(domain) is not None
    finally:
        domain.undefine()


def test_a_machine_that_the_host_does_not_have_is_refused_by_the_propertys_name(
    driver: Driver, spec: GuestSpec
) -> None:
    wanted = replace(spec, hardware=Hardware(machine="pc-q35-99.9"))
    driver.create_disks(HOST, wanted)
    with pytest.raises(CallFailed, match=r"hw_machine_type=pc-q35-99\.9: this host has no such machine"):
        driver.start(HOST, wanted)
    assert driver.guest(HOST, spec.uuid) is None


def test_the_nodes_traits_are_the_devices_of_all_its_machines(driver: Driver) -> None:
    (node,) = driver.nodes()
    buses = {f"COMPUTE_STORAGE_BUS_{bus}" for bus in ("VIRTIO", "SCSI", "SATA", "IDE")}
    assert buses | {"COMPUTE_GRAPHICS_MODEL_VGA", "COMPUTE_FIRMWARE_BIOS"} <= node.traits


def test_the_node_is_measured_and_not_believed(driver: Driver) -> None:
    (node,) = driver.nodes()
    total_kib = int(Path("/proc/meminfo").read_text().split()[1])
    assert abs(node.memory_mib - total_kib // 1024) <= 1
    assert node.cpu_info["arch"] == node.architecture == "x86_64"
    assert {"HW_CPU_X86_SSE42", "HW_ARCH_X86_64", "COMPUTE_STORAGE_BUS_VIRTIO"} <= node.traits
    assert node.hypervisor_type in ("KVM", "QEMU")


def test_kvm_asked_for_by_name_says_why_it_cannot_be_had(libvirt_options: Options) -> None:
    flags = Path("/proc/cpuinfo").read_text()
    if "vmx" in flags or "svm" in flags:
        pytest.skip("this processor may well do KVM")
    driver = LibvirtDriver(replace(libvirt_options, virt_type="kvm"))
    with pytest.raises(CallFailed, match="neither vmx nor svm"):
        driver.nodes()
    driver.close()


def test_the_guest_boots_its_disk_and_its_console_is_logged(driver: Driver, spec: GuestSpec) -> None:
    boot(driver, spec)
    until(lambda: driver.console_output(HOST, spec.uuid, 1000).endswith(tinyguest.BANNER))
    driver.reboot(HOST, spec.uuid, 1)
    until(lambda: driver.console_output(HOST, spec.uuid, 1000).count(tinyguest.BANNER) == 2)


def test_a_guest_that_switches_itself_off_is_told_of(driver: Driver, shortlived: Path) -> None:
    told: list[GuestEvent] = []
    driver.listen(told.append)
    spec = make_spec(base=shortlived)
    boot(driver, spec)
    until(lambda: GuestEvent(HOST, spec.uuid, PowerState.SHUTDOWN) in told)
    facts = driver.guest(HOST, spec.uuid)
    assert facts is not None
    assert facts.power_state is PowerState.SHUTDOWN


def test_a_guest_whose_process_dies_is_told_of(
    driver: Driver, spec: GuestSpec, connect: libvirt.virConnect
) -> None:
    told: list[GuestEvent] = []
    driver.listen(told.append)
    boot(driver, spec)
    subprocess.run(["pkill", "-KILL", "-f", f"guest={spec.name}"], check=True)
    until(lambda: GuestEvent(HOST, spec.uuid, PowerState.SHUTDOWN) in told)
    driver.power_on(HOST, spec.uuid, 1)
    assert connect.lookupByUUID(spec.uuid.bytes).isActive()


def test_a_running_guest_is_not_defined_anew_but_one_that_is_off_is(
    driver: Driver, spec: GuestSpec, connect: libvirt.virConnect
) -> None:
    boot(driver, spec)
    domain = connect.lookupByUUID(spec.uuid.bytes)
    larger = replace(spec, memory_mib=96)
    driver.start(HOST, larger)
    assert domain.maxMemory() == 64 * 1024
    driver.power_off(HOST, spec.uuid, 1)
    driver.start(HOST, larger)
    assert domain.maxMemory() == 96 * 1024


def test_a_paused_guest_runs_again(driver: Driver, spec: GuestSpec, connect: libvirt.virConnect) -> None:
    boot(driver, spec)
    domain = connect.lookupByUUID(spec.uuid.bytes)
    for act in (driver.power_on, driver.reboot):
        domain.suspend()
        facts = driver.guest(HOST, spec.uuid)
        assert facts is not None
        assert facts.power_state is PowerState.PAUSED
        act(HOST, spec.uuid, 1)
        assert domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING


def test_a_domain_of_somebody_else_is_not_listed(
    driver: Driver, connect: libvirt.virConnect, spec: GuestSpec
) -> None:
    uuid, name = uuid4(), f"cctest-{uuid4().hex[:12]}"
    system = "<memory>65536</memory><os><type>hvm</type></os>"
    domain = connect.defineXML(f"<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid>{system}</domain>")
    try:
        assert driver.guests(HOST) == ()
        facts = driver.guest(HOST, uuid)
        assert facts is not None
        assert facts.epoch is None
        driver.raise_epoch(HOST, uuid, 8)
        facts = driver.guest(HOST, uuid)
        assert facts is not None
        assert facts.epoch == 8
    finally:
        domain.undefine()


def test_two_installations_on_one_libvirtd_take_neither_names_nor_guests_from_each_other(
    driver: Driver, libvirt_options: Options, spec: GuestSpec, bootable: Path, tmp_path: Path
) -> None:
    other = LibvirtDriver(replace(libvirt_options, state_dir=tmp_path / "other"))
    others = replace(make_spec(base=bootable), name=spec.name)
    try:
        for each, guest in ((driver, spec), (other, others)):
            boot(each, guest)
            boot(each, guest)
            assert [facts.uuid for facts in each.guests(HOST)] == [guest.uuid]
        assert [facts.name for facts in driver.guests(HOST)] == [spec.name]
        assert [facts.name for facts in other.guests(HOST)] == [f"{spec.name}-{others.uuid}"]
    finally:
        other.destroy(HOST, others.uuid, others.epoch)
        other.close()


@pytest.fixture
def bridge() -> Iterator[str]:
    """Make a bridge as the host's wiring does."""
    name = f"cc{uuid4().hex[:10]}"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    yield name
    subprocess.run(["ip", "link", "del", name], check=True)


def plugged(tap: str, bridge: str) -> bool:
    """Return whether the tap device is there, in this bridge."""
    master = Path(f"/sys/class/net/{tap}/master")
    return master.exists() and master.resolve().name == bridge


def test_a_nic_is_a_tap_device_in_its_bridge_while_the_guest_runs(
    driver: Driver, spec: GuestSpec, bridge: str
) -> None:
    tap = f"t{bridge}"
    boot(driver, replace(spec, nics=(Nic(UUID(int=1), "fa:16:3e:00:00:01", tap, bridge, mtu=1450),)))
    assert plugged(tap, bridge)
    assert Path(f"/sys/class/net/{tap}/mtu").read_text() == "1450\n"
    driver.power_off(HOST, spec.uuid, 1)
    assert not plugged(tap, bridge)
    driver.power_on(HOST, spec.uuid, 1)
    assert plugged(tap, bridge)
    driver.destroy(HOST, spec.uuid, 1)
    assert not plugged(tap, bridge)


def test_a_nic_without_its_bridge_fails_in_words_and_is_cleaned_up(driver: Driver, spec: GuestSpec) -> None:
    with pytest.raises(CallFailed, match="ccnothere"):
        boot(driver, replace(spec, nics=(Nic(UUID(int=1), "fa:16:3e:00:00:01", "cctap", "ccnothere"),)))
    driver.destroy(HOST, spec.uuid, 1)
    driver.remove_disks(HOST, spec.uuid, 1)
    assert driver.guest(HOST, spec.uuid) is None


def test_raising_the_epoch_keeps_what_else_the_metadata_says(
    driver: Driver, spec: GuestSpec, connect: libvirt.virConnect
) -> None:
    boot(driver, spec)
    driver.raise_epoch(HOST, spec.uuid, 6)
    domain = connect.lookupByUUID(spec.uuid.bytes)
    for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE):
        ours = etree.fromstring(domain.XMLDesc(flags)).find(f"metadata/{{{metadata.NAMESPACE}}}guest")
        assert ours is not None
        assert ours.get("epoch") == "6"
        assert len(str(ours.get("definition"))) == 64
        assert ours.findtext(f"{{{metadata.NAMESPACE}}}project") == spec.project_id


def test_two_workers_starting_one_guest_at_once_make_one(
    open_driver: Callable[[], Driver], spec: GuestSpec
) -> None:
    drivers = [open_driver(), open_driver()]
    drivers[0].create_disks(HOST, spec)
    with ThreadPoolExecutor(2) as pool:
        outcomes = [pool.submit(driver.start, HOST, spec) for driver in drivers]
    errors = [error for outcome in outcomes if (error := outcome.exception())]
    assert all(isinstance(error, CallFailed) and error.retryable for error in errors)
    drivers[0].start(HOST, spec)
    facts = drivers[0].guest(HOST, spec.uuid)
    assert facts is not None
    assert facts.power_state is PowerState.RUNNING
