"""Drivers by name, and the options that they are made with."""

from pathlib import Path

import pytest

from hypervisors import registry
from hypervisors.driver import DriverError
from hypervisors.registry import Options


@pytest.mark.parametrize("name", registry.DRIVERS)
def test_every_driver_is_made_without_touching_anything(name: str, tmp_path: Path) -> None:
    driver = registry.load(name, Options(state_dir=tmp_path, host_name="a", libvirt_uri="test:///none"))
    assert driver.name == name
    assert list(tmp_path.iterdir()) == []
    driver.close()


def test_an_unknown_driver_is_refused_with_the_names_of_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="choose one of fake, libvirt"):
        registry.load("vmware", Options(state_dir=tmp_path, host_name="a"))


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "-a", "a\n", "x" * 256, "hôte"])
def test_a_host_whose_name_is_no_folder_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="cannot name a host"):
        Options(state_dir=tmp_path, host_name=name)


def test_nodes_have_the_same_uuid_for_ever_and_another_on_another_host(tmp_path: Path) -> None:
    here = Options(state_dir=tmp_path, host_name="a")
    assert str(here.node_uuid("a")) == "ab00d4e4-011b-53f1-a095-73a337b4df5e"
    assert here.node_uuid("a") != Options(state_dir=tmp_path, host_name="b").node_uuid("a")
