"""KVM is believed only when flags, device and libvirt all say so."""

from pathlib import Path

import pytest

from hypervisors.libvirt import virtualization

VMX = frozenset({"vmx"})


@pytest.mark.parametrize("flags", [frozenset[str](), frozenset({"sse2", "hypervisor"})])
def test_a_processor_without_the_flags_has_no_kvm(flags: frozenset[str]) -> None:
    assert "neither vmx nor svm" in virtualization.obstacle_to_kvm(flags, Path("/dev/kvm"))


def test_a_device_that_is_missing_or_is_not_kvms_is_an_obstacle(tmp_path: Path) -> None:
    assert "does not open" in virtualization.obstacle_to_kvm(VMX, tmp_path / "kvm")
    (tmp_path / "kvm").touch()
    assert "does not answer" in virtualization.obstacle_to_kvm(VMX, tmp_path / "kvm")
    assert "does not answer" in virtualization.obstacle_to_kvm(VMX, Path("/dev/null"))


def test_flags_are_read_of_the_first_processor(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nflags\t\t: fpu svm sse2\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert virtualization.cpu_flags(info) == {"fpu", "svm", "sse2"}
    info.write_text("processor : 0\n")
    assert virtualization.cpu_flags(info) == frozenset()
