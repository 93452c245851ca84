"""What tests in a real browser share: a cloud of fake hosts, a tenant, and a Chromium with a fresh profile.

`bin/test browser -- --pictures` keeps pictures of the pages in docs/pictures.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from computecloud.config import ROOT
from tests.browser.browser import DESKTOP, DRIVER, Browser, start
from tests.cloud.cloud import Cloud
from tests.cloud.conftest import _folder, _free_port, _running

PICTURES = ROOT / "docs" / "pictures"
_numbers = count()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --pictures."""
    parser.addoption("--pictures", action="store_true", help="keep pictures of the pages in docs/pictures")


@dataclass(frozen=True)
class Tenant:
    """Somebody who may work in two projects."""

    name: str
    password: str
    project: str
    other: str


@pytest.fixture(scope="package")
def cloud() -> Iterator[Cloud]:
    """Return the cloud that the browser looks at: two fake hosts, and the server `hello`."""
    cloud = Cloud(_folder("browser"), "fake", _free_port(), "fake-1")
    yield from _running(cloud, "--hosts", "2")


@pytest.fixture(autouse=True)
def gates_are_open_again(cloud: Cloud) -> Iterator[None]:
    """Let nobody be held by the gate of a test that failed."""
    yield
    cloud.gates.open_all()


@pytest.fixture
def tenant(cloud: Cloud) -> Tenant:
    """Return a new user, with a role in two new projects and none of them chosen."""
    number = next(_numbers)
    name, *projects = (f"{word}{number}" if number else word for word in ("tina", "greenhouse", "workshop"))
    made = Tenant(name, secrets.token_hex(12), *projects)
    user = {"name": made.name, "password": made.password, "domain_id": "default"}
    user_id = cloud.admin.post("/identity/v3/users", {"user": user})["user"]["id"]
    [role] = cloud.admin.get("/identity/v3/roles?name=member")["roles"]
    for name, words in ((made.project, "Sensors and their history"), (made.other, "")):
        project = {"name": name, "description": words, "domain_id": "default"}
        project_id = cloud.admin.post("/identity/v3/projects", {"project": project})["project"]["id"]
        cloud.admin.put(f"/identity/v3/projects/{project_id}/users/{user_id}/roles/{role['id']}")
    return made


@pytest.fixture
def browser(cloud: Cloud, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Browser]:
    """Return a browser that nobody has used; its pages asked nobody else for anything, and no script failed."""
    if not DRIVER.exists():
        pytest.skip("no Chromium: bin/test browser installs it")
    driver = start(tmp_path / "profile")
    try:
        wanted = request.config.getoption("--pictures", default=False)
        browser = Browser(driver, f"http://127.0.0.1:{cloud.port}", PICTURES if wanted else None)
        browser.resize(DESKTOP)
        yield browser
        assert browser.strangers() == []
        assert browser.complaints() == []
    finally:
        driver.quit()


@pytest.fixture
def admin(browser: Browser, cloud: Cloud) -> Browser:
    """Return the browser with the first user, who may do everything, logged in at the operators' pages."""
    browser.log_in("admin", cloud.password("admin"))
    return browser


@pytest.fixture
def tina(browser: Browser, tenant: Tenant) -> Browser:
    """Return the browser with the tenant logged in and its first project chosen."""
    browser.log_in_as_tenant(tenant.name, tenant.password)
    browser.press(tenant.project)
    return browser
