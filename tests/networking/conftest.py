"""Callers, networks and ports for the tests of this room."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from computecloud.wire.caller import Caller
from networking import selectors
from networking.models import Network, Subnet
from networking.services import create_network, create_subnet
from networking.services.networks import NewNetwork
from networking.services.subnets import NewSubnet
from tests.networking.api import Api


def a_caller(project_id: str | None = None, *, is_admin: bool = False) -> Caller:
    """Return a caller of a project of its own."""
    now = datetime.now(UTC)
    return Caller(
        user_id=uuid4().hex,
        user_name="somebody",
        project_id=project_id or uuid4().hex,
        project_name="a project",
        roles=frozenset({"admin" if is_admin else "member"}),
        is_admin=is_admin,
        issued_at=now,
        expires_at=now + timedelta(hours=1),
    )


def a_network(caller: Caller, **fields) -> Network:
    """Return a new network of the caller's."""
    return create_network(NewNetwork(**fields), caller=caller)


def a_subnet(caller: Caller, network: Network, cidr: str = "10.0.0.0/24", **fields) -> Subnet:
    """Return a new subnet on the network."""
    return create_subnet(NewSubnet(network_id=network.id, cidr=cidr, **fields), caller=caller)


@pytest.fixture
def tenant() -> Caller:
    return a_caller()


@pytest.fixture
def stranger() -> Caller:
    return a_caller()


@pytest.fixture
def admin() -> Caller:
    return a_caller(is_admin=True)


@pytest.fixture
def network(db, tenant) -> Network:
    return a_network(tenant, name="mine")


@pytest.fixture
def subnet(network, tenant) -> Subnet:
    return a_subnet(tenant, network)


@pytest.fixture(autouse=True)
def forget_the_tag():
    """Have each test write the installation's row anew: its database was emptied."""
    selectors.tag.cache_clear()
    yield
    selectors.tag.cache_clear()


@pytest.fixture
def instance_id() -> UUID:
    return uuid4()


@pytest.fixture
def api(db, tenant) -> Api:
    return Api(tenant)


@pytest.fixture
def strangers_api(db, stranger) -> Api:
    return Api(stranger)


@pytest.fixture
def admin_api(db, admin) -> Api:
    return Api(admin)
