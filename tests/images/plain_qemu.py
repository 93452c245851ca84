"""One guest under plain QEMU, without libvirt: for the tests of the demo image alone."""

import io
import json
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko
import pycdlib

from tests.patience import patience


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_config_drive(path: Path, files: dict[str, bytes]) -> None:
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident="config-2", rock_ridge="1.09")
    iso.add_directory("/OPENSTACK", rr_name="openstack")
    iso.add_directory("/OPENSTACK/LATEST", rr_name="latest")
    for name, data in files.items():
        iso.add_fp(
            io.BytesIO(data),
            len(data),
            f"/OPENSTACK/LATEST/{name.upper().replace('.', '_')}.;1",
            rr_name=name,
        )
    iso.write(str(path))
    iso.close()


@dataclass
class Guest:
    folder: Path
    key: paramiko.PKey
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def console(self) -> str:
        return (self.folder / "console.log").read_text(errors="replace")

    def wait_for(self, text: str, *, seconds: float) -> str:
        """Return the console line that holds text; fails with the console's end."""
        deadline = time.monotonic() + seconds * patience()
        while time.monotonic() < deadline and self.process.poll() is None:
            found = [line for line in self.console.splitlines() if text in line]
            if found:
                return found[0].strip()
            time.sleep(0.05)
        raise AssertionError(f"no {text!r} within {seconds} s on the console:\n{self.console[-2000:]}")

    def run(self, command: str, *, password: str | None = None) -> str:
        with paramiko.SSHClient() as client:
            client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
            known = {"password": password} if password else {"pkey": self.key}
            client.connect(
                "127.0.0.1",
                self.port,
                "root",
                look_for_keys=False,
                allow_agent=False,
                timeout=30 * patience(),
                banner_timeout=30 * patience(),
                auth_timeout=30 * patience(),
                **known,
            )
            _, out, _ = client.exec_command(command, timeout=30 * patience())
            return out.read().decode()

    def press_power_button(self) -> None:
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self.folder / "monitor"))
            for command in ("qmp_capabilities", "system_powerdown"):
                monitor.sendall(json.dumps({"execute": command}).encode() + b"\n")
            time.sleep(0.1)

    def ends_within(self, seconds: float) -> bool:
        try:
            return self.process.wait(timeout=seconds * patience()) == 0
        except subprocess.TimeoutExpired:
            return False


def boot(folder: Path, image: Path, key: paramiko.PKey, *extra: str, network: str = "") -> Guest:
    """Start QEMU without acceleration and 128 MiB on a 1 GiB overlay of image; the guest reaches nothing outside."""
    disk, port = folder / "disk.qcow2", free_port()
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(image), str(disk), "1G"]
    subprocess.run(create, check=True)
    command: list[Any] = [
        "qemu-system-x86_64", "-accel", "tcg,tb-size=32", "-m", "128", "-nodefaults", "-display", "none",
        "-serial", f"file:{folder}/console.log", "-qmp", f"unix:{folder}/monitor,server=on,wait=off",
        "-drive", f"file={disk},if=virtio", "-device", "virtio-net-pci,netdev=n",
        "-netdev", f"user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22{network}", *extra,
    ]  # fmt: skip
    (folder / "console.log").touch()
    return Guest(folder, key, port, subprocess.Popen(command, stderr=(folder / "qemu.log").open("wb")))


Boot = Callable[..., Guest]
