"""Nodes to place on."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from hypervisors.driver import NodeFacts
from scheduling import report
from scheduling.request import PlaceRequest
from workers.models import Host


@pytest.fixture
def host_with(db: None) -> Callable[..., Host]:
    def make(name: str, *nodes: NodeFacts, **columns: Any) -> Host:
        host = Host.objects.create(name=name, **({"alive": True} | columns))
        report.write(host, nodes or (facts(f"{name}-node"),))
        return host

    return make


def facts(name: str, **values: Any) -> NodeFacts:
    usual: dict[str, Any] = {
        "name": name,
        "uuid": uuid.uuid5(uuid.NAMESPACE_DNS, name),
        "hypervisor_type": "QEMU",
        "hypervisor_version": 7_002_000,
        "vcpus": 4,
        "memory_mib": 8_192,
        "disk_gib": 100,
        "architecture": "x86_64",
    }
    return NodeFacts(**(usual | values))


def request(**values: Any) -> PlaceRequest:
    usual: dict[str, Any] = {
        "consumer_id": uuid.uuid4(),
        "project_id": "p",
        "resources": {"VCPU": 1, "MEMORY_MB": 1_024, "DISK_GB": 10},
    }
    return PlaceRequest(**(usual | values))
