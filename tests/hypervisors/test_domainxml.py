"""A guest's XML: golden files (rewrite them with UPDATE_GOLDEN=1), refusals, and what its digest covers."""

import os
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from lxml import etree

from hypervisors.driver import CallFailed, Disk, GuestSpec, Nic
from hypervisors.hardware import Hardware, Topology
from hypervisors.libvirt import domainxml, metadata
from tests.hypervisors.guests import FOLDER, GUESTS, TCG, UUID_A

GOLDEN = Path(__file__).parent / "golden"
SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")
PLAIN, _ = GUESTS["plain-tcg"]


@pytest.mark.parametrize("name", GUESTS)
def test_a_guests_xml_is_the_golden_one(name: str) -> None:
    spec, platform = GUESTS[name]
    xml, _ = domainxml.build(spec, platform, FOLDER)
    golden = GOLDEN / f"{name}.xml"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(xml)
    assert xml == golden.read_text()


@pytest.fixture(scope="module")
def schema() -> etree.RelaxNG:
    """libvirt's own schema of a domain."""
    if not SCHEMA.exists():
        pytest.skip("libvirt's schemas are not installed")
    return etree.RelaxNG(etree.parse(SCHEMA))


@pytest.mark.parametrize("name", GUESTS)
def test_a_guests_xml_is_what_libvirts_schema_takes(name: str, schema: etree.RelaxNG) -> None:
    spec, platform = GUESTS[name]
    schema.assertValid(etree.fromstring(domainxml.build(spec, platform, FOLDER)[0]))


def test_a_spec_is_the_same_after_a_journey_as_json() -> None:
    for spec, _ in GUESTS.values():
        if spec.config_drive and "\ud800" not in spec.display_name:
            told = msgspec.json.encode(spec, enc_hook=str)
            assert msgspec.json.decode(told, type=GuestSpec, dec_hook=lambda kind, text: kind(text)) == spec


def test_every_golden_file_has_its_guest() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(GUESTS)


def test_metadata_says_whose_guest_it_is_and_its_epoch() -> None:
    xml, digest = domainxml.build(PLAIN, TCG, FOLDER)
    ours = etree.fromstring(xml).find(f"metadata/{{{metadata.NAMESPACE}}}guest")
    assert ours is not None
    assert metadata.parse(etree.tostring(ours, encoding="unicode")) == metadata.Marks(
        3, digest, str(FOLDER.path.parent)
    )
    assert ours.findtext(f"{{{metadata.NAMESPACE}}}project") == PLAIN.project_id
    assert ours.findtext(f"{{{metadata.NAMESPACE}}}name") == "web 1"


@pytest.mark.parametrize("epoch", ["", "-1", "x", "1.5", "²"])
def test_metadata_without_an_epoch_that_is_a_number_is_not_ours(epoch: str) -> None:
    assert metadata.parse(f"<guest xmlns='{metadata.NAMESPACE}' epoch='{epoch}'/>") is None


def test_the_digest_changes_with_the_guest_but_not_with_its_epoch_or_name() -> None:
    def digest(spec: GuestSpec) -> str:
        return domainxml.build(spec, TCG, FOLDER)[1]

    assert digest(replace(PLAIN, epoch=9, display_name="another")) == digest(PLAIN)
    assert digest(replace(PLAIN, memory_mib=1024)) != digest(PLAIN)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (replace(PLAIN, disks=(Disk("root", 1, bus="fdc"),)), "no disk bus 'fdc'"),
        (
            replace(PLAIN, disks=(Disk("root", 1, bus="ide"),), hardware=Hardware(machine="pc-q35-7.2")),
            "hw_machine_type=pc-q35-7.2 has no ide bus",
        ),
        (replace(PLAIN, disks=tuple(Disk(f"d{n}", 1, bus="ide") for n in range(5))), "at most 4 disks"),
        (replace(PLAIN, vcpus=3, hardware=Hardware(topology=Topology(2, 1, 1))), "make 2 of 3 processors"),
        (replace(PLAIN, disks=(Disk("../root", 1),)), "cannot be named"),
        (replace(PLAIN, disks=(Disk("", 1),)), "cannot be named"),
        (replace(PLAIN, disks=tuple(Disk(f"d{n}", 1) for n in range(27))), "at most 26 disks"),
        (
            replace(PLAIN, nics=(Nic(UUID_A, "fa:16:3e:00:00:01", "tap1", "br", model="ne2k"),)),
            "no NIC model",
        ),
        (replace(PLAIN, hardware=Hardware(machine="isapc")), "hw_machine_type may be"),
        (replace(PLAIN, hardware=Hardware(video_model="voodoo")), "hw_video_model may not be"),
    ],
)
def test_what_no_guest_can_have_is_refused_in_words(spec: GuestSpec, words: str) -> None:
    with pytest.raises(CallFailed, match=words):
        domainxml.build(spec, TCG, FOLDER)
