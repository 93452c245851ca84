"""The demo image: what it promises to whoever boots it."""

import base64
import gzip
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from computecloud.config import ROOT
from tests.images.plain_qemu import Boot, Guest, boot, write_config_drive

pytestmark = pytest.mark.guest

BUILD = ROOT / "images" / "demo" / "build"
CACHE = Path(os.environ.get("COMPUTECLOUD_DEMO_CACHE", ROOT / "var" / "cache" / "demo-packages"))
PASSWORD = 's3cret \\"é: \U0001f600'
UUID = "8d7c6b5a-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "demo.qcow2"
    subprocess.run([BUILD, "--cache", CACHE, out], check=True)
    return out


@pytest.fixture(scope="module")
def key() -> paramiko.PKey:
    return paramiko.ECDSAKey.generate()


@pytest.fixture
def start(tmp_path: Path, image: Path, key: paramiko.PKey) -> Iterator[Boot]:
    guests: list[Guest] = []

    def run(*extra: str, network: str = "") -> Guest:
        guests.append(boot(tmp_path, image, key, *extra, network=network))
        return guests[-1]

    yield run
    for guest in guests:
        guest.process.kill()
        guest.process.wait()


def meta_data(key: paramiko.PKey, **more: object) -> bytes:
    line = f"{key.get_name()} {key.get_base64()} somebody@somewhere\n"
    return json.dumps(
        {"uuid": UUID, "hostname": "hello.example", "public_keys": {"my.key": line}, **more}
    ).encode()


def test_a_config_drive_gives_name_key_address_and_script(
    start: Boot, tmp_path: Path, key: paramiko.PKey
) -> None:
    network = {
        "links": [{"id": "tap1", "type": "phy", "ethernet_mac_address": "52:54:00:12:34:56", "mtu": 1400}],
        "networks": [
            {
                "id": "network0",
                "type": "ipv4",
                "link": "tap1",
                "ip_address": "10.0.2.15",
                "netmask": "255.255.255.0",
                "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.2.2"}],
            },
            {
                "id": "network1",
                "type": "ipv6",
                "link": "tap1",
                "ip_address": "fd00::5",
                "netmask": "ffff:ffff:ffff:f000::",
            },
        ],
        "services": [{"type": "dns", "address": "10.0.2.3"}],
    }
    files = {
        "meta_data.json": meta_data(key, admin_pass=PASSWORD),
        "network_data.json": json.dumps(network).encode(),
        "user_data": gzip.compress(b"#!/bin/sh\necho the script speaks on $(hostname)\nexit 3\n"),
    }
    write_config_drive(tmp_path / "config.iso", files)
    guest = start("-drive", f"file={tmp_path}/config.iso,if=virtio,format=raw,readonly=on")

    banner = guest.wait_for("ready after", seconds=60)
    assert banner.startswith("computecloud guest hello ready after")
    assert banner.endswith("datasource=config-drive:/dev/vdb")
    assert guest.run("hostname") == "hello\n"
    guest.wait_for("the script speaks on hello", seconds=10)
    guest.wait_for("user data ended with status 3", seconds=10)
    assert "mtu 1400" in guest.run("ip link show eth0")
    addresses = guest.run("ip -o addr show dev eth0 scope global")
    assert "10.0.2.15/24" in addresses
    assert "fd00::5/52" in addresses
    assert "default via 10.0.2.2" in guest.run("ip route")
    assert guest.run("cat /etc/resolv.conf") == "nameserver 10.0.2.3\n"
    assert int(guest.run("df -m / | awk 'END { print $2 }'")) > 950
    assert guest.run("id -un", password=PASSWORD) == "root\n"

    guest.press_power_button()
    assert guest.ends_within(10)
    assert "hello: poweroff" in guest.console


def test_without_a_config_drive_it_asks_dhcp_and_the_metadata_service(
    start: Boot, tmp_path: Path, key: paramiko.PKey
) -> None:
    cloud_config = (
        "#cloud-config\n# a comment\nruncmd:\n  - [sh, -c, 'echo list speaks']\n  - |\n    echo block\n"
    )
    cloud_config += "    echo speaks\n"
    cloud_config += (
        "  - echo 'plain speaks'\nssh_authorized_keys:\n  - ssh-ed25519 AAAA other@key\nhostname: renamed\n"
    )
    answers = {"meta_data.json": meta_data(key), "user_data": cloud_config.encode()}
    service = tmp_path / "service.py"
    service.write_text(
        "import base64, sys\n"
        f"answers = { ({name: base64.b64encode(data).decode() for name, data in answers.items()})!r}\n"
        "name = sys.stdin.readline().split()[1].rsplit('/', 1)[1]\n"
        "body = base64.b64decode(answers.get(name, ''))\n"
        "status = '200 OK' if body else '404 Not Found'\n"
        "head = f'HTTP/1.0 {status}\\r\\nContent-Length: {len(body)}\\r\\nConnection: close\\r\\n\\r\\n'\n"
        "sys.stdout.buffer.write(head.encode() + body)\n"
    )
    metadata = f",net=169.254.169.0/24,guestfwd=tcp:169.254.169.254:80-cmd:{sys.executable} {service}"
    guest = start(network=metadata)

    banner = guest.wait_for("ready after", seconds=60)
    assert banner.startswith("computecloud guest renamed ")
    assert banner.endswith("datasource=metadata-service")
    for text in ("list speaks", "block", "speaks", "plain speaks", "user data ended with status 0"):
        guest.wait_for(text, seconds=10)
    assert guest.run("hostname") == "renamed\n"
    assert "ssh-ed25519 AAAA other@key" in guest.run("cat /root/.ssh/authorized_keys")

    guest.run("reboot")
    guest.wait_for("reboot: Restarting system", seconds=10)
    (tmp_path / "console.log").write_text("")  # QEMU goes on behind the gap
    guest.wait_for("computecloud guest renamed ready after", seconds=60)
    assert "list speaks" not in guest.console


def test_a_config_drive_may_be_a_scsi_cdrom(start: Boot, tmp_path: Path, key: paramiko.PKey) -> None:
    write_config_drive(tmp_path / "config.iso", {"meta_data.json": meta_data(key)})
    drive = f"file={tmp_path}/config.iso,if=none,id=config,format=raw,readonly=on"
    guest = start("-device", "virtio-scsi-pci", "-drive", drive, "-device", "scsi-cd,drive=config")
    assert "datasource=config-drive:/dev/sr0" in guest.wait_for("ready after", seconds=60)
    assert guest.run("uname -s") == "Linux\n"


def test_two_builds_are_equal_byte_for_byte(image: Path, tmp_path: Path) -> None:
    subprocess.run([BUILD, "--cache", CACHE, tmp_path / "again.qcow2"], check=True)
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (image, tmp_path / "again.qcow2")}
    assert len(digests) == 1


def test_a_wrong_call_says_what_is_wrong(tmp_path: Path) -> None:
    command = [BUILD, "--cache", tmp_path, tmp_path / "no" / "x.qcow2"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "does not exist" in result.stderr


def test_help_names_the_packages_that_building_needs() -> None:
    result = subprocess.run([BUILD, "--help"], capture_output=True, text=True, check=True)
    assert "syslinux-efi" in result.stdout
