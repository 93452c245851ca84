"""Leftovers of every kind, planted on a cloud behind its back; each returns the words by which doctor must name it."""

import sqlite3
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cloud.cloud import Cloud

DOMAIN = """
<domain type="qemu">
  <name>planted</name><uuid>{uuid}</uuid><memory unit="MiB">16</memory>
  <metadata>
    <c:guest xmlns:c="urn:computecloud:guest:1" epoch="1" definition="" folders="{folders}"/>
  </metadata>
  <os><type arch="x86_64">hvm</type></os>
</domain>
"""
LONG_AGO = "2020-01-01 00:00:00"


@dataclass(frozen=True)
class Planter:
    """Plants on the first host of a cloud."""

    cloud: Cloud

    @property
    def tag(self) -> str:
        """Return what the names of this cloud's things on hosts begin with."""
        return str(self._one("SELECT tag FROM networking_installation")["tag"])

    @property
    def _host(self) -> Path:
        return self.cloud.state / "hosts" / self.cloud.host

    def domain(self) -> str:
        """Plant a domain that carries our mark."""
        planted = str(uuid.uuid4())
        xml = DOMAIN.format(uuid=planted, folders=self._host / "guests")
        run("virsh", "-c", "qemu:///system", "define", "/dev/stdin", given=xml)
        return planted

    def disk_folder(self) -> str:
        """Plant a guest's folder with a disk in it."""
        planted = str(uuid.uuid4())
        folder = self._host / "guests" / planted
        folder.mkdir()
        (folder / "root.qcow2").write_bytes(b"planted")
        return f"keeps disks of {planted}"

    def cached_image(self) -> str:
        """Plant a file in the host's cache of images."""
        planted = str(uuid.uuid4())
        (self._host / "cache" / planted).write_bytes(b"planted")
        return f"caches image {planted}"

    def half_fetched_image(self) -> str:
        """Plant the unfinished file of a fetch whose process is dead."""
        planted = str(uuid.uuid4())
        (self._host / "cache" / f".{planted}.part").write_bytes(b"planted")
        return f"holds a half-fetched image {planted}"

    def link(self) -> str:
        """Plant a bridge."""
        name = f"cc{self.tag}bplanted"
        run("ip", "link", "add", name, "type", "bridge")
        return f"link {name}"

    def namespace(self) -> str:
        """Plant a network namespace."""
        name = f"cc{self.tag}nplanted"
        run("ip", "netns", "add", name)
        return f"namespace {name}"

    def rule(self) -> str:
        """Plant a chain with a rule in the cloud's own table."""
        table, name = f"bridge cc_{self.tag}", f"cc{self.tag}tplanted"
        run("nft", "-f", "-", given=f"add chain {table} {name}\nadd rule {table} {name} drop\n")
        return f"chain {name}"

    def dnsmasq(self) -> str:
        """Plant a DHCP server that serves nobody."""
        name = f"cc{self.tag}bforgotten"
        folder = Path(f"/run/computecloud-{self.tag}") / name
        folder.mkdir()
        lines = ["port=0", "no-resolv", "no-hosts", "user=root", f"pid-file={folder}/pid"]
        (folder / "dnsmasq.conf").write_text("\n".join(lines) + "\n")
        run("dnsmasq", f"--conf-file={folder}/dnsmasq.conf")
        return f"dnsmasq {name}"

    def message(self) -> str:
        """Plant a message in the queue of a host that there is not."""
        socket = str(self.cloud.state / "run" / "redis.sock")
        run("redis-cli", "-s", socket, "lpush", "host.planted", "{}")
        return "queue host.planted holds 1 message"

    def port(self) -> str:
        """Plant a port that an instance holds which is no more."""
        changes = {"mac": "fa:00:00:00:00:01", "host": "", "instance_id": uuid.uuid4().hex}
        self._copy("networking_port", "instance_id IS NOT NULL", id=uuid.uuid4().hex, **changes)
        return f"held by instance {uuid.UUID(changes['instance_id'])}"

    def allocation(self) -> str:
        """Plant a claim on a node; the node's counter does not know it."""
        consumer = uuid.uuid4()
        self._copy("scheduling_allocation", "1", id=None, consumer_id=consumer.hex)
        return f"{consumer} holds a claim"

    def charge(self) -> str:
        """Plant a quota charge; the project's counters do not know it."""
        consumer = uuid.uuid4()
        self._copy("quotas_charge", "1", consumer_id=consumer.hex)
        return f"is charged for {consumer}"

    def lease(self) -> str:
        """Plant a lease on an operation that has ended."""
        ended = self._one("SELECT id FROM workers_operation WHERE state = 'succeeded'")["id"]
        self._write(
            "UPDATE workers_operation SET lease_token = 'planted', lease_worker = 'planted:1:1', lease_until = 1"
            " WHERE id = ?",
            ended,
        )
        return f"operation {uuid.UUID(ended)} (succeeded) still holds a lease"

    def footprint(self) -> str:
        """Plant the note of a guest whose server is gone."""
        subject = uuid.uuid4()
        self._copy("workers_footprint", "kind = 'guest'", id=None, subject_id=subject.hex, name="planted")
        return f"belongs to {subject}"

    def inquiry(self) -> str:
        """Plant a question that nobody waits for any more."""
        planted = uuid.uuid4().hex
        self._write(
            "INSERT INTO workers_inquiry (id, host, kind, params, error, answered, asked_at)"
            " VALUES (?, 'planted', 'console', '{}', '', 0, ?)",
            planted,
            LONG_AGO,
        )
        return "console at planted"

    def lock(self) -> str:
        """Plant a lock that an ended operation holds on a subject."""
        ended, subject = self._ended(), self._one("SELECT id FROM workers_subject LIMIT 1")["id"]
        self._write(
            "INSERT INTO workers_subjectlock (operation_id, subject_id, epoch, exclusive) VALUES (?, ?, 1, 1)",
            ended,
            subject,
        )
        return f"operation {uuid.UUID(ended)} has ended and still locks"

    def secret(self) -> str:
        """Plant a secret of an operation that has ended."""
        ended = self._ended()
        self._write("INSERT INTO workers_secret (operation_id, ciphertext) VALUES (?, x'00')", ended)
        return f"a secret of ended operation {uuid.UUID(ended)}"

    def sharers(self) -> str:
        """Plant a count of operations that share a subject, though none does."""
        subject = self._one("SELECT id FROM workers_subject WHERE NOT deleting LIMIT 1")["id"]
        self._write("UPDATE workers_subject SET sharers = 2 WHERE id = ?", subject)
        return f"{uuid.UUID(subject)} counts 2 operations"

    def archived_twin(self) -> str:
        """Plant an archived copy of an operation that is in the ledger."""
        ended = self._ended()
        columns = ", ".join(
            (
                *("id", "kind", "state", "subject_type", "subject_id", "project_id", "user_id", "request_id"),
                *("params", "results", "host", "round", "cancelled_by", "error", "created_at", "updated_at"),
                "finished_at",
            )
        )
        self._write(
            f"INSERT INTO workers_archivedoperation ({columns}, runs)"
            f" SELECT {columns}, '[]' FROM workers_operation WHERE id = ?",
            ended,
        )
        return f"operation {uuid.UUID(ended)} is in the ledger and in the archive"

    def idempotency_key(self) -> str:
        """Plant a key whose time was over long ago."""
        self._write(
            "INSERT INTO workers_idempotencykey (user_id, project_id, key, fingerprint, request_id, holder, taken_at,"
            " begun, headers, body, withheld, created_at)"
            " VALUES ('planted', '', 'planted', '', '', '', 1, 0, '{}', '', '', ?)",
            LONG_AGO,
        )
        return "1 Idempotency-Keys are older"

    def _ended(self) -> str:
        """Return the id of an operation that has ended, like one that is there; it stays as history."""
        planted = uuid.uuid4().hex
        self._copy("workers_operation", "state = 'succeeded'", id=planted, lease_token=None)
        return planted

    def _copy(self, table: str, where: str, **changes: Any) -> None:
        """Write a row that is like one that is there but for the changes."""
        row = self._one(f"SELECT * FROM {table} WHERE {where} LIMIT 1") | changes
        marks = ", ".join("?" * len(row))
        names = ", ".join(f'"{name}"' for name in row)
        self._write(f"INSERT INTO {table} ({names}) VALUES ({marks})", *row.values())

    def _one(self, sql: str) -> dict[str, Any]:
        connection = self._open()
        try:
            return dict(connection.execute(sql).fetchone())
        finally:
            connection.close()

    def _write(self, sql: str, *values: Any) -> None:
        connection = self._open()
        try:
            with connection:
                assert connection.execute(sql, values).rowcount == 1
        finally:
            connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.cloud.state / "computecloud.sqlite3", timeout=30)
        connection.row_factory = sqlite3.Row
        return connection


def run(*command: str, given: str = "") -> None:
    """Run a command with what it is given as its input; fails where it does."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
