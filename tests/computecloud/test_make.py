"""What a new installation makes up: passwords, keys, clouds.yaml, and the disk of fake guests."""

import io
import json
import stat
from pathlib import Path

import paramiko

from computecloud.cli import credentials, demo_image, libvirt_daemon
from computecloud.cli.installation import Installation
from images.inspection import inspect
from images.states import DiskFormat


def test_passwords_are_made_once_and_are_their_owners_alone(installation: Installation) -> None:
    first = credentials.passwords(installation)
    assert credentials.passwords(installation) == first
    assert first.admin != first.demo
    assert min(len(first.admin), len(first.demo)) >= 20
    assert first.admin.isalnum() and first.demo.isalnum()  # a word for a command line, and no option there
    assert stat.S_IMODE(installation.passwords_file.stat().st_mode) == 0o600


def test_the_ssh_key_is_made_once_and_fits_its_public_part(installation: Installation) -> None:
    public = credentials.public_key(installation)
    assert credentials.public_key(installation) == public
    private = paramiko.Ed25519Key.from_private_key(io.StringIO(installation.key_file.read_text()))
    assert public.split()[1] == private.get_base64()
    assert stat.S_IMODE(installation.key_file.stat().st_mode) == 0o600


def test_clouds_yaml_has_a_cloud_for_the_tenant_and_one_for_the_administrator(
    installation: Installation,
) -> None:
    credentials.write_clouds(installation, "http://127.0.0.1:1", "RegionTwo")
    clouds = json.loads(installation.clouds_file.read_text())["clouds"]
    assert set(clouds) == {"computecloud", "computecloud-admin"}
    assert clouds["computecloud"]["auth"]["username"] == "demo"
    assert clouds["computecloud-admin"]["auth"]["password"] == credentials.passwords(installation).admin
    assert clouds["computecloud"]["auth"]["auth_url"] == "http://127.0.0.1:1/identity/v3"
    assert clouds["computecloud"]["region_name"] == "RegionTwo"


def test_the_blank_disk_is_a_qcow2_that_the_image_service_accepts(tmp_path: Path) -> None:
    assert inspect(demo_image.write_blank(tmp_path / "demo.qcow2"), DiskFormat("qcow2")) == 1 << 20


def test_our_libvirtd_finds_its_configuration_and_qemus_user(installation: Installation) -> None:
    libvirt_daemon.write_configuration(installation)
    folder = installation.state / "libvirt"
    assert 'user = "root"' in (folder / "qemu.conf").read_text()
    assert (folder / "passwd").read_text().count("libvirt-qemu:") == 1
    assert (folder / "passwd").read_text().startswith("root:")
