"""The tenants' pages where it is not as usual: keys alone, two tabs, long names, others' servers, no session."""

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser import looks
from tests.browser.browser import DESKTOP, PHONE, Browser
from tests.browser.conftest import Tenant
from tests.cloud.cloud import Cloud

pytestmark = [pytest.mark.cloud, pytest.mark.browser]
SERVERS = "/compute/v2.1/servers"
SCRIPT = "<script>window.harm = 1</script><img src=x onerror='window.harm = 1'>\"'>"
LONG = "long" * 63
WAIT_S = 60.0


def make(browser: Browser, name: str) -> str:
    """Make a server by the form, and wait until it is there; returns its id."""
    browser.visit("/browse/servers/new")
    browser.fill("name", name)
    browser.press("Create")
    browser.wait_for("ACTIVE", WAIT_S)
    return browser.path.removeprefix(f"{SERVERS}/")


def test_every_page_fits_a_phone_can_be_read_and_names_what_it_has(tina: Browser, cloud: Cloud):
    server = make(tina, LONG)
    tina.visit("/operations/")
    operation = tina.one("td[data-label=Operation] a").get_attribute("href").removeprefix(tina.root)
    pages = (
        "/browse/login", "/browse/projects", SERVERS, f"{SERVERS}/{server}", f"{SERVERS}/{server}/ips",
        "/browse/servers/new", f"/browse/servers/{server}/console", f"/browse/servers/{server}/delete",
        "/compute/v2.1/flavors", "/compute/v2.1/flavors/42", "/image/v2/images",
        f"/image/v2/images/{cloud.image_id}", "/network/v2.0/networks",
        f"/network/v2.0/networks/{cloud.network_id}", "/compute/v2.1/os-keypairs", "/browse/keypairs/new",
        "/operations/", operation,
    )  # fmt: skip
    for page in pages:
        tina.resize(PHONE)
        tina.visit(page)
        looks.fits(tina)
        looks.is_named(tina)
        looks.is_readable(tina)
        tina.resize(DESKTOP)
        looks.fits(tina)


def test_a_name_is_text_and_no_page(tina: Browser):
    server = make(tina, SCRIPT)
    for page in (
        SERVERS,
        f"{SERVERS}/{server}",
        f"/browse/servers/{server}/delete",
        f"{SERVERS}/{server}/ips",
    ):
        tina.visit(page)
        assert tina.run("return window.harm === undefined && document.images.length === 0")
    tina.visit(f"{SERVERS}/{server}")
    assert tina.one("h1").text == SCRIPT
    tina.press("Console")
    tina.wait_for(SCRIPT)


def test_keys_alone_are_enough(browser: Browser, tenant: Tenant):
    browser.visit("/")
    browser.keys(tenant.name, Keys.TAB, tenant.password, Keys.ENTER)
    browser.wait_for("Sensors and their history")
    browser.keys(*[Keys.TAB] * 5, Keys.ENTER)
    browser.wait_for("There is no server yet.")
    browser.keys(Keys.TAB)
    assert browser.run("return document.activeElement.innerText") == "Skip to the page"
    browser.keys(Keys.ENTER, Keys.TAB, Keys.ENTER)
    browser.wait_for("Create a server")
    browser.keys("by keys", Keys.ENTER)
    browser.wait_for("ACTIVE", WAIT_S)
    assert browser.one("h1").text == "by keys"


def test_what_has_the_focus_is_seen(tina: Browser):
    focused = "const one = document.activeElement; return one === document.body ? null : "
    for page in (SERVERS, "/browse/servers/new"):
        tina.visit(page)
        reached = set()
        for _ in range(20):
            tina.keys(Keys.TAB)
            assert tina.run(f"{focused} getComputedStyle(one).outlineWidth") in (None, "3px")
            reached.add(tina.run(f"{focused} one.outerHTML"))
        assert len(reached) > 8


def test_another_tenant_s_server_and_no_page_at_all_are_not_found(tina: Browser, cloud: Cloud):
    [foreign] = cloud.client("demo").get(f"{SERVERS}?name=hello")["servers"]
    for page in (f"{SERVERS}/{foreign['id']}", f"/browse/servers/{foreign['id']}/console", "/browse/nothing"):
        tina.visit(page)
        assert tina.one("h1").text == "Not found"
        assert "hello" not in tina.text
        looks.is_named(tina)
        tina.refused(404)
    tina.press("To the first page")
    assert tina.one("h1").text == "Servers"


def test_a_session_that_is_over_leads_back_to_where_it_was(tina: Browser, tenant: Tenant):
    tina.visit("/network/v2.0/networks")
    tina.driver.delete_cookie("sessionid")
    tina.press("Flavors")
    assert tina.path.startswith("/browse/login?next=")
    tina.log_in_as_tenant(tenant.name, tenant.password)
    tina.press(tenant.project)
    assert tina.path == "/compute/v2.1/flavors"


def test_two_tabs_tell_what_the_other_has_done(tina: Browser):
    server = make(tina, "twice")
    tina.visit(f"{SERVERS}/{server}")
    first = tina.driver.current_window_handle
    tina.driver.switch_to.new_window("tab")
    tina.visit(f"{SERVERS}/{server}")
    tina.press("Stop")
    tina.wait_for("SHUTOFF", WAIT_S)
    tina.driver.switch_to.window(first)
    tina.press("Stop")
    assert tina.one("h1").text == "Not now"
    tina.refused(409)
    tina.press("Back")
    tina.wait_for("SHUTOFF")


def test_a_form_makes_nothing_in_a_project_that_it_was_not_shown_for(tina: Browser, tenant: Tenant):
    tina.visit("/browse/servers/new")
    tina.fill("name", "astray")
    first = tina.driver.current_window_handle
    tina.driver.switch_to.new_window("tab")
    tina.visit("/browse/projects")
    tina.press(tenant.other)
    tina.driver.switch_to.window(first)
    tina.press("Create")
    tina.wait_for("You have chosen another project")
    tina.refused(409)
    assert tina.one("[name=name]").get_attribute("value") == "astray"
    tina.visit(SERVERS)
    tina.wait_for("There is no server yet.")


def test_a_log_in_in_another_tab_makes_old_forms_say_so(browser: Browser, tenant: Tenant):
    browser.visit("/browse/login")
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    browser.log_in_as_tenant(tenant.name, tenant.password)
    browser.driver.switch_to.window(first)
    browser.log_in_as_tenant(tenant.name, tenant.password)
    browser.wait_for("This page is older than your log-in")
    browser.refused(403)
    browser.press("To the first page")
    browser.wait_for("Sensors and their history")
