"""The image that the first server boots: built from Debian's packages, or on fake hosts a disk with nothing on it."""

import struct
import subprocess
from contextlib import suppress
from pathlib import Path

from computecloud.cli.client import Client
from computecloud.cli.failures import Failure, end_of
from computecloud.cli.installation import ROOT, Installation
from computecloud.cli.progress import Step

NAME = "demo"
BUILD_S = 600.0
CLUSTER = 1 << 16


class Build:
    """A build of the demo image that runs beside other work; nothing runs where the file is there already."""

    def __init__(self, installation: Installation) -> None:
        self.file = installation.state / "demo.qcow2"
        self._log = installation.log / "demo-image.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._installation = installation

    def begin(self) -> None:
        """Start the build, unless the image is there."""
        if self.file.exists():
            return
        cache = self._installation.state / "cache" / "demo-packages"
        command = [str(ROOT / "images" / "demo" / "build"), "--cache", str(cache), str(self.file)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )

    def wait(self, step: Step) -> Path:
        """Return the image's file once it is whole; raises Failure where the build fails."""
        if self._process is None:
            return self.file
        process = self._process

        def done() -> bool:
            step.tell("".join(end_of(self._log, 1)) or "building")
            return process.poll() is not None

        advice = "mend what the log says, then run bin/up again"
        slow = Failure("building the demo image takes too long", log=self._log, advice=advice)
        step.wait(done, seconds=BUILD_S, what="building", otherwise=lambda: slow)
        if process.returncode:
            raise Failure("the demo image could not be built", log=self._log, advice=advice)
        return self.file

    def stop(self) -> None:
        """End the build, where it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=10)


def find(admin: Client) -> str | None:
    """Return the id of the demo image, if it is there and whole; one that is not is removed."""
    for image in admin.get(f"/image/v2/images?name={NAME}")["images"]:
        if image["status"] == "active":
            return str(image["id"])
        admin.delete(f"/image/v2/images/{image['id']}")
    return None


def upload(admin: Client, file: Path) -> str:
    """Upload the image for everybody to use; returns its id."""
    record = {
        "name": NAME,
        "visibility": "public",
        "disk_format": "qcow2",
        "container_format": "bare",
        "min_ram": 96,
        "os_distro": "debian",
    }
    image_id = str(admin.post("/image/v2/images", record)["id"])
    admin.upload(f"/image/v2/images/{image_id}/file", file)
    return image_id


def write_blank(file: Path) -> Path:
    """Write a valid qcow2 of 1 MiB that holds nothing: all that guests of fake hosts need.

    Clusters of 64 KiB: header, table of reference counts, one block of these, and the empty first-level table.
    Form: https://www.qemu.org/docs/master/interop/qcow2.html
    """
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        *(b"QFI\xfb", 3, 0, 0, 16, 1 << 20, 0, 1, 3 * CLUSTER, CLUSTER, 1, 0, 0, 0, 0, 0, 4, 104),
    )
    table = struct.pack(">Q", 2 * CLUSTER)
    counts = struct.pack(">4H", 1, 1, 1, 1)
    part = file.with_suffix(".part")
    part.write_bytes(b"".join(cluster.ljust(CLUSTER, b"\0") for cluster in (header, table, counts, b"")))
    part.replace(file)
    return file
