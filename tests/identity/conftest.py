"""Fixtures: a bootstrapped identity room, its users' clients, cheap passwords."""

from typing import Any

import pytest
from django.test import Client

from computecloud.wire.services import IDENTITY
from identity import revocation
from identity.models import DEFAULT_DOMAIN_ID
from identity.services import bootstrap
from identity.services.bootstrap import Bootstrapped
from identity.testing import Api

ADMIN_PASSWORD, DEMO_PASSWORD = "admin's password", "demo's password"


@pytest.fixture(autouse=True)
def _cheap_passwords(settings: Any) -> None:
    """Hash passwords cheaply and begin without remembered revocations."""
    settings.PASSWORD_HASHERS = ["tests.identity.hashers.CheapHasher"]
    revocation.forget()


@pytest.fixture
def there(db: None) -> Bootstrapped:
    """What bootstrap made."""
    return bootstrap(admin_password=ADMIN_PASSWORD, demo_password=DEMO_PASSWORD)


def log_in(
    name: str, password: str, *, scope: Any = None, source: str = "192.0.2.1", domain: str = DEFAULT_DOMAIN_ID
) -> Any:
    """Return the answer to a log-in by password."""
    user = {"name": name, "domain": {"id": domain}, "password": password}
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
    if scope is not None:
        auth["scope"] = scope
    client = Client(REMOTE_ADDR=source)
    return client.post("/identity/v3/auth/tokens", {"auth": auth}, "application/json")


def project(name: str) -> dict[str, Any]:
    """Return the scope of a project in the default domain."""
    return {"project": {"name": name, "domain": {"id": DEFAULT_DOMAIN_ID}}}


def token_of(answer: Any) -> str:
    """Return the token of a successful log-in."""
    assert answer.status_code == 201, answer.content
    return str(answer.headers["X-Subject-Token"])


@pytest.fixture
def admin(there: Bootstrapped) -> Api:
    """The admin's client."""
    return Api(token_of(log_in("admin", ADMIN_PASSWORD, scope=project("admin"))), IDENTITY)


@pytest.fixture
def demo(there: Bootstrapped) -> Api:
    """The demo user's client."""
    return Api(token_of(log_in("demo", DEMO_PASSWORD, scope=project("demo"))), IDENTITY)


@pytest.fixture
def anyone() -> Api:
    """A client without a token."""
    return Api(None, IDENTITY)
