"""A cloud's users in their browsers: demo with a project, and somebody else with another."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import set_urlconf

from identity import revocation
from identity.services import bootstrap
from identity.services.bootstrap import Bootstrapped
from instances.models import Instance
from quotas import services as quotas
from tests.instances.conftest import Tenant, a_server, flavor, image
from workers.models import Subject

__all__ = ["flavor", "image"]  # fixtures

HTML = "text/html,application/xhtml+xml,*/*;q=0.8"
PASSWORD = "demo's password"
SERVERS = "/compute/v2.1/servers"
_CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Browser(Client):
    """A browser: it asks for pages, keeps cookies, and sends forms with what they hold against forgery."""

    def __init__(self, **extra: Any) -> None:
        super().__init__(enforce_csrf_checks=True, headers={"Accept": HTML}, **extra)

    def page(self, address: str, status: int = 200) -> str:
        """Return a page; asserts its status and that nothing but our own files may load in it."""
        answer = self.get(address)
        assert answer.status_code == status, (answer.status_code, answer.content[:2_000])
        assert answer["Content-Type"].startswith("text/html")
        assert "default-src 'none'" in answer["Content-Security-Policy"]
        assert answer["Cache-Control"] == "no-store"
        text = answer.content.decode()
        assert re.findall(r"<script(?! src=\"/static/)|<style|\son\w+=|\sstyle=|https?://", text) == []
        return text

    def send(self, address: str, form: str = "", **fields: Any) -> HttpResponse:
        """Send a form of the page at `form` (default: the address itself)."""
        found = _CSRF.search(self.get(form or address).content.decode())
        assert found, f"no form at {form or address}"
        return self.post(address, {"csrfmiddlewaretoken": found[1], **fields})

    def log_in(self, name: str = "demo", password: str = PASSWORD, **fields: Any) -> HttpResponse:
        """Log in by the form."""
        return self.send("/browse/login", name=name, password=password, domain="Default", **fields)


@pytest.fixture(autouse=True)
def pages_alone() -> Iterator[None]:
    """Forget the pages' addresses: a stream that is not read to its end leaves them to the thread's next test."""
    yield
    set_urlconf(None)


@pytest.fixture(autouse=True)
def _cheap_passwords(settings: Any) -> None:
    """Hash passwords cheaply and begin without remembered revocations."""
    settings.PASSWORD_HASHERS = ["tests.identity.hashers.CheapHasher"]
    revocation.forget()
    revocation.assume_current()


@pytest.fixture
def there(db: None) -> Bootstrapped:
    """What bootstrap made."""
    return bootstrap(admin_password="admin's password", demo_password=PASSWORD)


@pytest.fixture
def demo(there: Bootstrapped) -> Tenant:
    """The demo user, by the API."""
    from identity.models import Project, User

    tenant = Tenant(user_id=User.objects.get(name="demo").id, project_id=Project.objects.get(name="demo").id)
    quotas.unlimit(tenant.project_id)
    return tenant


@pytest.fixture
def browser(demo: Tenant) -> Browser:
    """The demo user's browser, logged in."""
    found = Browser()
    assert found.log_in().status_code == 302
    return found


@pytest.fixture
def server(demo: Tenant) -> Callable[..., Instance]:
    return lambda *states, **columns: lockable(a_server(demo, *states, **columns))


def lockable(instance: Instance) -> Instance:
    """Return a server on which operations may be accepted."""
    Subject.objects.create(id=instance.id, type="instance")
    return instance


@pytest.fixture
def foreign(db: None) -> Instance:
    """Another tenant's server."""
    return lockable(a_server(Tenant(), name="secret server"))
