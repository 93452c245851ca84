"""What is shipped to run it elsewhere: units that systemd takes, one a process kind, and containers likewise."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from computecloud.cli.app import COMMANDS
from computecloud.config import ROOT

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
KINDS = {"web", "control", "beat", "host", "metadata"}


def command_of(unit: Path) -> list[str]:
    found = re.search(r"^ExecStart=.* -m computecloud (.+)$", unit.read_text(), re.MULTILINE)
    assert found is not None
    return found.group(1).split()


def test_there_is_a_unit_for_each_kind_of_process():
    assert {unit.stem.removeprefix("computecloud-") for unit in UNITS} == KINDS
    assert all(command_of(unit)[0] in COMMANDS for unit in UNITS)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_takes_the_unit(unit: Path, tmp_path: Path):
    here = tmp_path / unit.name
    here.write_text(unit.read_text().replace("/opt/computecloud/.venv/bin/python", "/usr/bin/env"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(here)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize(
    ("kind", "most"), [("web", 2.0), ("control", 2.0), ("beat", 2.0), ("host", 7.5), ("metadata", 5.0)]
)
def test_a_unit_is_sandboxed(kind: str, most: float):
    unit = ROOT / "deploy" / "systemd" / f"computecloud-{kind}.service"
    words = ["systemd-analyze", "security", "--offline=true", f"--threshold={most * 10:.0f}", str(unit)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-200:]


def test_the_namespaces_that_the_host_worker_makes_are_seen_by_others():
    """Each of these gives a unit mounts of its own (systemd.exec(5)), and a network's namespace is a mount."""
    unit = (ROOT / "deploy" / "systemd" / "computecloud-host.service").read_text()
    own = r"^(Private(Tmp|Devices|Mounts|IPC)|Protect(System|Home|Kernel\w+|ControlGroups|Proc)|ProcSubset|\w+Paths)="
    assert re.findall(own, unit, re.MULTILINE) == []


@pytest.mark.parametrize("kind", ["web", "control", "beat"])
def test_qemu_reaches_guests_disks_through_the_state_folder(kind: str):
    unit = (ROOT / "deploy" / "systemd" / f"computecloud-{kind}.service").read_text()
    assert "\nStateDirectoryMode=0711\n" in unit


def test_there_is_a_container_for_each_kind_of_process():
    composed = yaml.safe_load((ROOT / "deploy" / "container" / "compose.yml").read_text())["services"]
    assert set(composed) >= KINDS
    stages = re.findall(
        r"^FROM .* AS (\w+)$", (ROOT / "deploy" / "container" / "Containerfile").read_text(), re.M
    )
    for kind in KINDS:
        assert composed[kind]["build"]["target"] in stages
        assert composed[kind]["command"][0] in COMMANDS
    secret = [
        name for name, one in composed.items() if "password" in str(one).lower() and "${" not in str(one)
    ]
    assert secret == [], "a secret stands in the recipe"
