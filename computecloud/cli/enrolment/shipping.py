"""The project's code and its Python packages, put on another machine."""

import hashlib
import re
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import IO

from packaging.requirements import Requirement

from computecloud.cli.failures import Failure
from computecloud.cli.installation import ROOT
from hypervisors.ssh import CommandFailed, Remote

CODE = "/opt/computecloud"
STATE = "/var/lib/computecloud"
UNITS = ("computecloud-host.service", "computecloud-metadata.service")
ROOMS = (
    *("computecloud", "identity", "workers", "quotas", "scheduling", "networking", "images", "instances"),
    *("hypervisors", "volumes"),
)
FILES = (
    "requirements.txt",
    "bin/prepare.sh",
    "bin/packages.txt",
    "bin/computecloud",
    "images/demo/packages.txt",
)
INSTALL_S = 1_800.0

# What prepare.sh's make_venv writes down and looks for.
_STAMP = "{ sha256sum requirements.txt && python3 -c 'import sys; print(sys.version)'; }"
_IS_READY = (
    f'cd {CODE} && [ -x .venv/bin/python ] && [ -z "$({_STAMP} | grep -vxFf .venv/requirements.stamp 2>&1)" ]'
)
_PREPARE = f"set -u; mkdir -p {STATE}/log; . {CODE}/bin/prepare.sh; state={STATE}"


def ship_code(remote: Remote) -> bool:
    """Have the code of now be there; returns whether it was not. What is there goes only when the new is whole."""
    files = list(code())
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    mark = digest.hexdigest()
    if (remote.read(f"{CODE}/shipped") or "").strip() == mark:
        return False
    names = " ".join(sorted({path.relative_to(ROOT).parts[0] for path in files}))
    with tempfile.TemporaryFile() as archive:
        pack(archive, ((path, str(path.relative_to(ROOT))) for path in files))
        archive.seek(0)
        remote.run(
            f"set -e; mkdir -p {CODE}; cd {CODE}; rm -rf .new; mkdir .new; tar -C .new -xf -; rm -f shipped; "
            f"for name in {names}; do rm -rf $name; mv .new/$name $name; done; rmdir .new; echo {mark} >shipped",
            stdin=archive,
        )
    return True


def code() -> Iterator[Path]:
    """Yield the files of the project that a host needs, in a fixed order."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*")):
            if path.is_file() and not {"__pycache__", "demo"} & set(path.relative_to(ROOT).parts):
                yield path
    yield from (ROOT / name for name in FILES)
    yield from (ROOT / "deploy" / "systemd" / unit for unit in UNITS)


def install_packages(remote: Remote, *, systemd: bool) -> str:
    """Have the Debian packages be there that a host needs; returns what was installed. Raises Failure."""
    groups = "base libvirt" + (" systemd" if systemd else "")
    missing = remote.run(_bash(f"{_PREPARE}; missing_packages {groups}")).strip()
    if missing:
        try:
            remote.run(_bash(f"{_PREPARE}; install_packages {groups}"), timeout_s=INSTALL_S)
        except CommandFailed as error:
            raise Failure(
                f"Debian packages could not be installed there: {_last(error)}",
                advice=f"on that machine: apt-get install {missing}; then run this again",
            ) from None
    return missing


def install_python(remote: Remote, *, abi: str, wheels: Path | None, copy: bool) -> str:
    """Have .venv be there with what requirements.txt pins; returns from where it came, empty where it was there.

    From the machine's own index, or from wheels that are shipped along; where it has no index, and its Python is like
    ours, by copying our own. Raises Failure.
    """
    if remote.succeeds(_bash(_IS_READY)):
        return ""
    if not copy:
        try:
            _install_by_pip(remote, wheels)
            return "wheels from here" if wheels else "its package index"
        except CommandFailed as error:
            if wheels or abi != sysconfig.get_config_var("EXT_SUFFIX"):
                raise Failure(
                    f"Python packages could not be installed there: {_last(error)}",
                    advice="on a machine like it: pip wheel -r requirements.txt -w FOLDER; then --wheels FOLDER",
                ) from None
    if abi != sysconfig.get_config_var("EXT_SUFFIX"):
        raise Failure(
            f"our Python packages do not suit its Python ({abi or 'none'})",
            advice="leave --copy-packages out",
        )
    _copy(remote)
    return "our own, copied"


def pack(to: IO[bytes], files: Iterable[tuple[Path, str]]) -> None:
    """Write a tar of files under their names; owner root, times as they are, so that nothing differs the next time."""
    with tarfile.open(fileobj=to, mode="w") as archive:
        for path, name in files:
            entry = archive.gettarinfo(str(path), name)
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = "root"
            if entry.isreg():
                with path.open("rb") as content:
                    archive.addfile(entry, content)


def _install_by_pip(remote: Remote, wheels: Path | None) -> None:
    words = "export PIP_RETRIES=1 PIP_DEFAULT_TIMEOUT=15"
    if wheels:
        with tempfile.TemporaryFile() as archive:
            pack(archive, ((wheel, wheel.name) for wheel in sorted(wheels.glob("*.whl"))))
            archive.seek(0)
            remote.run(
                f"rm -rf {CODE}/wheels; mkdir {CODE}/wheels; tar -C {CODE}/wheels -xf -", stdin=archive
            )
        words = f"export PIP_NO_INDEX=1 PIP_FIND_LINKS={CODE}/wheels"
    remote.run(_bash(f"{words}; {_PREPARE}; make_venv requirements.txt"), timeout_s=INSTALL_S)


def _copy(remote: Remote) -> None:
    with tempfile.TemporaryFile() as archive:
        pack(archive, _installed())
        archive.seek(0)
        remote.run(
            f"set -e; cd {CODE}; python3 -m venv --clear --without-pip .venv; "
            f"tar -C .venv/lib/python3*/site-packages -xf -; {_STAMP} >.venv/requirements.stamp",
            stdin=archive,
            timeout_s=INSTALL_S,
        )


def _installed() -> Iterator[tuple[Path, str]]:
    """Yield the files of the packages that requirements.txt pins for a Python like this one, as they are here."""
    for line in re.findall(r"^[A-Za-z0-9._-]+==.*$", (ROOT / "requirements.txt").read_text(), re.MULTILINE):
        pinned = Requirement(line)
        if pinned.marker is not None and not pinned.marker.evaluate():
            continue
        for file in metadata.distribution(pinned.name).files or ():
            path = Path(str(file.locate()))
            if ".." not in file.parts and "__pycache__" not in file.parts and path.is_file():
                yield path, str(file)


def _bash(script: str) -> str:
    return f"exec bash <<'COMPUTECLOUD'\n{script}\nCOMPUTECLOUD\n"


def _last(error: CommandFailed) -> str:
    return " ".join(error.output.strip().splitlines()[-4:])[-600:]
