"""Every setting of ComputeCloud, typed, read from environment variables named COMPUTECLOUD_<FIELD>."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

PREFIX = "COMPUTECLOUD_"
ROOT = Path(__file__).resolve().parent.parent


def _about(text: str) -> Meta:
    return Meta(description=text)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """One field a setting; the text beside it is its documentation."""

    state_dir: Annotated[
        str, _about("folder of everything that is not code: database, images, logs, sockets")
    ] = str(ROOT / "var")
    secret_key: Annotated[
        str, _about("signs sessions and encrypts secret parameters; required in production")
    ] = ""
    operation_key: Annotated[
        str, _about("encrypts secret parameters of operations; default: one made from secret_key")
    ] = ""
    token_keys: Annotated[
        str, _about("token signing keys, newest first, comma separated; default: secret_key")
    ] = ""
    debug: Annotated[bool, _about("Django's debug pages; never in production")] = False
    allowed_hosts: Annotated[str, _about("host names that the web server answers for, comma separated")] = "*"
    public_url: Annotated[str, _about("where clients reach the APIs; empty: as each request says")] = ""
    region: Annotated[str, _about("name of the region in the catalog")] = "RegionOne"
    database_url: Annotated[str, _about("postgresql://…; empty: SQLite in state_dir")] = ""
    database_pool_max: Annotated[int, _about("PostgreSQL connections a process")] = 8
    broker_url: Annotated[
        str, _about("redis://… or amqp://…, with s over TLS; empty: the Redis in state_dir")
    ] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], _about("least severe level that is logged")
    ] = "info"
    role: Annotated[
        Literal["", "web", "control", "host", "beat", "metadata"],
        _about("what this process is; set by the supervisor"),
    ] = ""
    host_name: Annotated[str, _about("name of this host's worker; empty: the machine's host name")] = ""
    driver: Annotated[Literal["libvirt", "fake"], _about("which hypervisor driver the host worker uses")] = (
        "libvirt"
    )
    libvirt_uri: Annotated[str, _about("libvirt connection of the host worker")] = "qemu:///system"
    virt_type: Annotated[
        Literal["auto", "kvm", "qemu"], _about("auto: KVM where a probe proves it, else TCG")
    ] = "auto"
    libvirt_timeout_s: Annotated[float, _about("a libvirt call running longer has an unknown outcome")] = 30.0
    fake_nodes: Annotated[int, _about("nodes of a fake host")] = 1
    fake_node_vcpus: Annotated[int, _about("processors of a fake node")] = 64
    fake_node_memory_mib: Annotated[int, _about("memory of a fake node")] = 262_144
    fake_node_disk_gib: Annotated[int, _about("disk of a fake node")] = 4_096
    fake_delay_s: Annotated[float, _about("how long each call of the fake driver takes")] = 0.0
    fake_image_files: Annotated[
        bool, _about("a fake host fetches images into its cache, as a real one does")
    ] = False
    reserved_memory_mib: Annotated[int, _about("memory kept for the host itself")] = 512
    reserved_disk_gib: Annotated[int, _about("disk kept for the host itself")] = 0
    cpu_allocation_ratio: Annotated[float, _about("virtual processors sold for each real one")] = 16.0
    memory_allocation_ratio: Annotated[float, _about("memory sold for each MiB present")] = 1.0
    disk_allocation_ratio: Annotated[float, _about("disk sold for each GiB present")] = 1.0
    zone: Annotated[str, _about("availability zone of hosts that are in no aggregate with one")] = "nova"
    lease_s: Annotated[float, _about("a worker that runs a step renews its lease within this time")] = 30.0
    sweep_interval_s: Annotated[float, _about("how often recovery looks for operations to move on")] = 2.0
    heartbeat_interval_s: Annotated[float, _about("how often a host's worker raises its counter")] = 2.0
    host_dead_after_s: Annotated[float, _about("silence after which a host counts as dead")] = 60.0
    admitted_per_project: Annotated[int, _about("operations of one tenant in the queues at once")] = 32
    archive_after_days: Annotated[
        float, _about("an operation that ended longer ago moves from the ledger to the archive")
    ] = 7.0
    archive_kept_days: Annotated[
        float, _about("an archived operation that ended longer ago is removed; 0: never")
    ] = 0.0
    unknown_guests: Annotated[
        Literal["list", "reap"], _about("what an audit does to a guest, or to disks, that no server has")
    ] = "list"
    image_cache_unused_h: Annotated[
        float, _about("an image that no guest of a host has needed for so long leaves the host's cache")
    ] = 24.0
    audit_records_kept_days: Annotated[float, _about("what audits found is kept for so long")] = 30.0
    idempotency_keys_kept_h: Annotated[
        float, _about("a POST with the Idempotency-Key of one that is older is done anew")
    ] = 24.0
    place_attempts: Annotated[int, _about("nodes tried for one boot")] = 3
    shutdown_timeout_s: Annotated[
        float, _about("a guest gets this long to shut down before it is switched off")
    ] = 60.0
    vendor_data_file: Annotated[
        str, _about("file with a JSON object that every guest is told as its vendor data; empty: none")
    ] = ""
    instance_password: Annotated[
        bool, _about("a server that is asked for without adminPass is given one, told in the answer")
    ] = True
    force_config_drive: Annotated[bool, _about("every guest gets a config drive, asked for or not")] = True
    token_lifetime_s: Annotated[int, _about("a token expires after this time")] = 3_600 * 4
    login_failures_max: Annotated[int, _about("failed log-ins of one account before it is held up")] = 10
    login_window_s: Annotated[int, _about("time over which failed log-ins count")] = 300
    image_max_gib: Annotated[int, _about("largest image accepted")] = 64
    image_transfer_mib_s: Annotated[
        float,
        _about("most that one transfer into a host's image cache takes of the store; 0: as fast as it goes"),
    ] = 0.0
    public_cidr: Annotated[str, _about("addresses of the public network that bin/up makes")] = "172.24.4.0/24"
    underlay_ip: Annotated[
        str,
        _about(
            "IPv4 address by which other hosts carry guests' traffic here; empty: networks end at this host"
        ),
    ] = ""
    dns_servers: Annotated[str, _about("name servers handed to guests, comma separated")] = ""
    web_host: Annotated[str, _about("address the web server listens on")] = "127.0.0.1"
    web_port: Annotated[int, _about("port of the web server")] = 8774
    web_tls_certificate: Annotated[
        str, _about("PEM file of the web server's certificate; empty: plain HTTP")
    ] = ""
    web_tls_key: Annotated[str, _about("PEM file of its private key")] = ""
    web_tls_authority: Annotated[
        str, _about("PEM file that our own clients check the certificate by; empty: the system's authorities")
    ] = ""
    metrics_token: Annotated[
        str, _about("/metrics is for who sends it as a bearer token; empty: for nobody by token")
    ] = ""
    metrics_networks: Annotated[
        str, _about("/metrics is for these networks without a token, comma separated; empty: for none")
    ] = "127.0.0.0/8,::1/128"
    boot_id: Annotated[
        str, _about("tests only: stands for the machine's own, as if it had been started again")
    ] = ""
    resume_guests_on_host_boot: Annotated[
        bool, _about("guests that ran when their machine went down are started when it is back")
    ] = True
    gate_dir: Annotated[
        str, _about("tests only: folder of gate files that hold a worker at a named point")
    ] = ""

    @property
    def host(self) -> str:
        """Return this host's name."""
        return self.host_name or socket.gethostname()

    @property
    def state(self) -> Path:
        """Return the state folder as a path."""
        return Path(self.state_dir)


def read(environ: Mapping[str, str]) -> Config:
    """Return the settings in environ; raises msgspec.ValidationError naming a setting that is wrong."""
    given = {name: environ.get(PREFIX + name.upper()) for name in Config.__struct_fields__}
    return msgspec.convert(
        {name: text for name, text in given.items() if text is not None}, Config, strict=False
    )


CONFIG = read(os.environ)
