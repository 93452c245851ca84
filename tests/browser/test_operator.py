"""An operator's day in a real browser: made by a superuser, reads, disables and enables, retries, runs audits."""

import pytest

from tests.browser import looks
from tests.browser.browser import DESKTOP, PHONE, Browser
from tests.cloud.cloud import Cloud, until

pytestmark = [pytest.mark.cloud, pytest.mark.browser]

PASSWORD = "a password that no dictionary has"
WAIT_S = 60.0


def make_operator(admin: Browser, name: str) -> None:
    """Make a user of the group operator, on the pages as a superuser does, and log in as that one."""
    admin.visit("/admin/identity/user/add/")
    admin.fill("name", name)
    admin.fill("password1", PASSWORD)
    admin.fill("password2", PASSWORD)
    admin.press("Save")
    admin.press_here("[name=is_staff]")
    admin.press_here("#id_groups_from option[title=operator]")
    admin.press_here("#id_groups_add")
    admin.press("Save")
    admin.driver.delete_all_cookies()
    admin.log_in(name, PASSWORD)


def fail_a_stop(cloud: Cloud) -> tuple[str, str]:
    """Return a server, and an operation on it that has failed."""
    image, flavor = cloud.image_id, cloud.admin.get("/compute/v2.1/flavors?limit=1")["flavors"][0]["id"]
    body = {"name": "stubborn", "imageRef": image, "flavorRef": flavor, "networks": "none"}
    server = cloud.admin.post("/compute/v2.1/servers", {"server": body})["server"]["id"]

    def status() -> str:
        return str(cloud.admin.get(f"/compute/v2.1/servers/{server}")["server"]["status"])

    until(lambda: status() == "ACTIVE", WAIT_S, "the server")
    cloud.gates.fail("stop.ask.done", "the guest does not listen")
    cloud.admin.post(f"/compute/v2.1/servers/{server}/action", {"os-stop": None})

    def failed() -> str:
        query = f"/operations/?server={server}&kind=stop&state=failed&all_projects=1"
        found = cloud.admin.get(query)["operations"]
        return str(found[0]["id"]) if found else ""

    return server, until(failed, WAIT_S, "the failure of the stop")


def test_an_operator_s_day(admin: Browser, cloud: Cloud):
    _, operation = fail_a_stop(cloud)
    make_operator(admin, "olga")

    admin.wait_for("Capacity of what takes guests")
    admin.wait_for("the guest does not listen")

    admin.press("Hosts")
    admin.press("fake-2")
    admin.press("Disable")
    admin.fill("reason", "a fan is loud")
    admin.picture("operator-asked-back")
    admin.press("Disable")
    admin.wait_for("Host fake-2 takes no new guests.")
    admin.wait_for("a fan is loud")
    admin.picture("operator-host")
    assert service(cloud, "fake-2") == ("disabled", "a fan is loud")
    admin.press("Enable")
    admin.press("Enable")
    admin.wait_for("Host fake-2 takes new guests.")
    assert service(cloud, "fake-2") == ("enabled", None)
    admin.press("History")
    admin.wait_for("Disable: a fan is loud.")
    admin.wait_for("olga")

    admin.visit(f"/admin/workers/operation/{operation}/change/")
    admin.picture("operator-operation")
    admin.press("Retry")
    admin.press("Retry")
    admin.wait_for("was accepted in the place of")
    admin.visit("/admin/workers/operation/?kind__exact=stop")
    until(lambda: _again(admin, "succeeded"), WAIT_S, "the second try")

    admin.visit("/admin/workers/auditschedule/power/change/")
    admin.press("Run now")
    admin.press("Run now")
    admin.wait_for("runs on every host that is up")
    admin.visit("/admin/workers/auditrun/")
    until(lambda: _again(admin, "operator olga"), WAIT_S, "the audit that was asked for")

    admin.press("How the cloud is")
    until(lambda: not _again(admin, "never"), WAIT_S, "every audit to have been rung")
    admin.picture("operator-first-page")
    admin.resize(PHONE)
    looks.fits(admin)
    admin.picture("operator-first-page-on-a-phone")
    admin.resize(DESKTOP)


def service(cloud: Cloud, host: str) -> tuple[str, str | None]:
    """Return what the API says of a host: whether it takes guests, and why not."""
    [found] = cloud.admin.get(f"/compute/v2.1/os-services?host={host}")["services"]
    return found["status"], found["disabled_reason"]


def _again(browser: Browser, words: str) -> bool:
    browser.driver.refresh()
    return words in browser.text
