"""A tenant's day in a real browser: logs in, boots a server and watches it, stops it, reads its console, deletes it."""

import pytest

from tests.browser import looks
from tests.browser.browser import DESKTOP, PHONE, Browser
from tests.browser.conftest import Tenant
from tests.cloud.cloud import Cloud, until

pytestmark = [pytest.mark.cloud, pytest.mark.browser]
SERVERS = "/compute/v2.1/servers"
WAIT_S = 60.0


def test_a_tenant_s_day(browser: Browser, cloud: Cloud, tenant: Tenant):
    browser.visit("/")
    browser.log_in_as_tenant(tenant.name, tenant.password)
    browser.wait_for("Sensors and their history")
    browser.press(tenant.project)
    browser.wait_for("There is no server yet.")
    fill_in_the_form(browser)
    boot_and_watch(browser, cloud)

    browser.press("Stop")
    browser.wait_for("SHUTOFF", WAIT_S)
    browser.press("Console")
    browser.wait_for("login:")
    browser.press("Back to the server")

    browser.press("Delete…")
    browser.wait_for("Its disk is gone for good then.")
    browser.press("Keep it")
    browser.press("Delete…")
    browser.press("Delete")
    until(lambda: "There is no server yet." in again(browser), WAIT_S, "the server to be gone")
    browser.press("Operations")
    assert [one.text for one in browser.all("td[data-label=Operation] a")] == ["delete", "stop", "create"]


def fill_in_the_form(browser: Browser) -> None:
    """Answer one question of the form wrongly, and see that said beside it, where the next key goes, too."""
    browser.press("Create server")
    browser.fill("name", "thermometer")
    browser.fill("count", "many")
    browser.press("Create")
    assert "is not of type 'integer'" in browser.one("#count-error").text
    assert browser.one("#count").get_attribute("aria-describedby") == "count-error"
    assert browser.run("return document.activeElement.id") == "count"
    assert browser.one("#name").get_attribute("value") == "thermometer"
    browser.refused(400)
    browser.picture("tenant-create")
    on_a_phone(browser)
    browser.fill("count", "1")


def boot_and_watch(browser: Browser, cloud: Cloud) -> None:
    """Send the form, and see each step come to the page while the boot is held at two of them."""
    for step in ("disks", "start"):
        cloud.gates.close(f"create.{step}.taken")
    browser.press("Create")
    browser.wait_for("BUILD")
    with browser.without_reload():
        await_steps(browser, "place", "wire", "image", "disks")
        browser.wait_for("at the step disks")
        browser.picture("tenant-watches")
        cloud.gates.open("create.disks.taken")
        await_steps(browser, "place", "wire", "image", "disks", "start")
    cloud.gates.open("create.start.taken")
    browser.wait_for("ACTIVE", WAIT_S)
    browser.wait_for("succeeded")
    await_steps(browser, "place", "wire", "image", "disks", "start")
    browser.picture("tenant-server")
    on_a_phone(browser, "tenant-server-on-a-phone")


def await_steps(browser: Browser, *names: str) -> None:
    """Wait until the timeline on the page has these steps."""
    cells = "[...document.querySelectorAll('.timeline td[data-label=Step] span')]"
    shown = f"return {cells}.map(one => one.innerText)"
    until(lambda: browser.run(shown) == [*names], WAIT_S, f"the steps {', '.join(names)}")


def on_a_phone(browser: Browser, picture: str = "") -> None:
    """See that the page fits a phone."""
    browser.resize(PHONE)
    looks.fits(browser)
    if picture:
        browser.picture(picture)
    browser.resize(DESKTOP)


def again(browser: Browser) -> str:
    """Return what the page says when it is loaded anew."""
    browser.driver.refresh()
    return browser.text
