"""What a tenant sees: lists, things with names and links between them; nothing of another tenant's."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest

from computecloud.browse import operations
from computecloud.browse import servers as pages
from computecloud.browse.anything import linked
from images.models import Image
from instances.models import Flavor, Instance, KeyPair
from networking.models import Network, Subnet
from tests.browse.conftest import SERVERS, Browser
from tests.instances.conftest import Tenant, a_server
from workers import acceptance
from workers.models import Operation, utc_now

Make = Callable[..., Instance]
NAV = (
    SERVERS,
    "/compute/v2.1/flavors",
    "/image/v2/images",
    "/network/v2.0/networks",
    "/compute/v2.1/os-keypairs",
    "/operations/",
)


@pytest.fixture
def network(demo: Tenant) -> Network:
    found = Network.objects.create(name="inside", project_id=demo.project_id, vni=7)
    Subnet.objects.create(
        name="range", network=found, project_id=demo.project_id, cidr="10.1.2.0/24", ip_version=4
    )
    return found


@pytest.fixture
def pair(demo: Tenant) -> KeyPair:
    return KeyPair.objects.create(
        name="my key", user_id=demo.user_id, fingerprint="aa:bb", public_key="ssh-ed25519 AAAA me"
    )


def links_of(text: str) -> set[str]:
    return {unescape(href) for href in re.findall(r'href="([^"]+)"', text)}


def test_the_first_page_leads_to_the_servers(browser: Browser):
    for address in ("/", "/browse/"):
        assert browser.get(address)["Location"] == SERVERS


@pytest.mark.parametrize("address", NAV)
def test_every_list_is_a_page_with_the_way_to_all_others(browser: Browser, address: str):
    text = browser.page(address)
    assert set(NAV) <= links_of(text)
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    assert ">demo<" in text


def test_servers_are_listed_with_links_to_what_they_are_made_of(
    browser: Browser, server: Make, flavor: Flavor, image: Image
):
    made = server("active", name="web <1>", image_id=image.id, key_name="my key")
    text = browser.page(SERVERS)
    assert "web &lt;1&gt;" in text
    assert f"{SERVERS}/{made.id}" in links_of(text)
    assert {"/compute/v2.1/flavors/1", f"/image/v2/images/{image.id}"} <= links_of(text)
    assert '<span class="good">ACTIVE</span>' in text
    assert 'data-label="Status"' in text


def test_a_list_of_many_goes_on_on_another_page(
    browser: Browser, server: Make, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pages, "PAGE", 2)
    names = {server("active").name for _ in range(3)}
    first = browser.page(SERVERS)
    more = next(link for link in links_of(first) if "marker=" in link)
    second = browser.page(more)
    assert {name for name in names if f">{name}<" in first + second} == names
    assert not any("marker=" in link for link in links_of(second))


def test_a_server_s_page_shows_and_links_what_it_has(
    browser: Browser, server: Make, flavor: Flavor, image: Image, pair: KeyPair
):
    made = server("active", image_id=image.id, key_name="my key", metadata={"a": "<b>"})
    text = browser.page(f"{SERVERS}/{made.id}")
    assert "a = &lt;b&gt;" in text
    expected = {
        "/compute/v2.1/flavors/1",
        f"/image/v2/images/{image.id}",
        "/compute/v2.1/os-keypairs/my%20key",
    }
    assert expected <= links_of(text)
    assert "Nothing was done yet." in text


def test_a_server_s_page_says_why_it_failed(browser: Browser, server: Make):
    made = server("error", fault={"code": 400, "message": "no <room>", "created": "2026-01-01T00:00:00Z"})
    text = browser.page(f"{SERVERS}/{made.id}")
    assert '<p class="error" role="alert">no &lt;room&gt;</p>' in text
    assert '<span class="bad">ERROR</span>' in text


def test_flavors_images_networks_and_key_pairs_have_pages(
    browser: Browser, flavor: Flavor, image: Image, network: Network, pair: KeyPair
):
    for address, name, words in (
        ("/compute/v2.1/flavors", "m1.nano", "hw:cpu_policy = shared"),
        ("/image/v2/images", "demo", "hw_disk_bus"),
        ("/network/v2.0/networks", "inside", "10.1.2.0/24"),
        ("/compute/v2.1/os-keypairs", "my key", "ssh-ed25519 AAAA me"),
    ):
        found = re.search(rf'href="({address}/[^"]+)">{name}<', browser.page(address))
        assert found, address
        assert words in browser.page(found[1])


def test_any_other_address_of_the_apis_shows_its_answer_with_links(browser: Browser, demo: Tenant):
    text = browser.get("/identity/v3/auth/projects").content.decode()
    at = f"/identity/v3/projects/{demo.project_id}"
    assert f'"<a href="{at}">http://testserver{at}</a>"' in text or f'&quot;<a href="{at}">' in text


def test_what_an_answer_holds_is_text_and_no_page(browser: Browser, server: Make):
    made = server("active", metadata={"</pre><b>": '"http://testserver/"><b>'})
    text = browser.get(f"{SERVERS}/{made.id}/metadata").content.decode()
    assert "&lt;/pre&gt;&lt;b&gt;" in text
    assert "<b>" not in text


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ('"http://here/a?b=<c>"', '"<a href="/a?b=&lt;c&gt;">http://here/a?b=&lt;c&gt;</a>"'),
        ('"http://here//elsewhere.example"', None),
        ('"http://here.example/a"', None),
        ('"javascript:x"', None),
    ],
)
def test_only_addresses_of_this_site_become_links(said: str, shown: str | None):
    text = linked(said, "http://here")
    assert ("<a" in text) == (shown is not None)
    if shown:
        assert text == shown.replace('"<', "&quot;<", 1)[:-1] + "&quot;"


def test_a_page_answers_head_without_a_body(browser: Browser):
    answer = browser.head(SERVERS)
    assert (answer.status_code, answer.content) == (200, b"")


FOREIGN = (
    SERVERS + "/{server}",
    SERVERS + "/{server}/ips",
    "/browse/servers/{server}/delete",
    "/browse/servers/{server}/console",
    "/compute/v2.1/flavors/{flavor}",
    "/image/v2/images/{image}",
    "/network/v2.0/networks/{network}",
    "/compute/v2.1/os-keypairs/{pair}",
    "/browse/keypairs/{pair}/delete",
    "/operations/{operation}",
)


@pytest.fixture
def others(foreign: Instance) -> dict[str, Any]:
    """Return what is another tenant's, by kind."""
    image = Image.objects.create(
        name="secret image", project_id=foreign.project_id, visibility="private", status="active"
    )
    pair = KeyPair.objects.create(name="secret key", user_id=foreign.user_id, fingerprint="f", public_key="k")
    flavor = Flavor.objects.create(
        flavorid="99", name="secret flavor", ram=1, disk=1, vcpus=1, is_public=False
    )
    operation = Operation.objects.filter(subject_id=foreign.id).first() or _operation(foreign)
    return {
        "server": foreign.id,
        "image": image.id,
        "network": Network.objects.create(name="secret network", project_id=foreign.project_id, vni=8).id,
        "pair": pair.name,
        "flavor": flavor.flavorid,
        "operation": operation.id,
    }


def _operation(instance: Instance) -> Operation:
    return acceptance.accept(
        kind="stop",
        subject=("instance", instance.id),
        project_id=instance.project_id,
        user_id=instance.user_id,
        params={},
    )


@pytest.mark.parametrize("address", FOREIGN)
def test_another_tenant_s_is_not_found(browser: Browser, others: dict[str, Any], address: str):
    text = browser.page(address.format(**others), 404)
    assert "secret" not in text.replace("secret%20key", "").replace("secret key", "")
    assert "Not found" in text


@pytest.mark.parametrize("address", FOREIGN)
def test_what_is_not_there_is_not_found(browser: Browser, demo: Tenant, address: str):
    nothing = dict.fromkeys(
        ("server", "image", "network", "operation"), "0" * 8 + "-0000-4000-8000-" + "0" * 12
    )
    browser.page(address.format(**nothing, pair="none", flavor="none"), 404)


@pytest.mark.parametrize("address", NAV)
def test_no_list_names_another_tenant_s(browser: Browser, others: dict[str, Any], address: str):
    text = browser.page(address)
    assert "secret" not in text
    assert str(others["operation"]) not in text


@pytest.mark.parametrize("address", ["/browse/nothing", "/compute/v2.1/nothing", "/browse/servers/x"])
def test_an_address_that_is_none_is_a_page_that_says_so(browser: Browser, address: str):
    assert "Not found" in browser.page(address, 404)


def test_a_refusal_of_the_api_is_a_page_in_its_words(browser: Browser):
    text = browser.page("/compute/v2.1/os-services", 403)
    assert "Policy doesn&#x27;t allow os_compute_api:os-services:list to be performed." in text


def test_a_wrong_marker_is_a_page_that_says_so(browser: Browser):
    assert "marker" in browser.page(f"{SERVERS}?marker=none", 400)


def test_a_page_reads_as_many_rows_as_for_one_server(
    browser: Browser, server: Make, flavor: Flavor, django_assert_max_num_queries: Any
):
    for _ in range(20):
        server("active")
    with django_assert_max_num_queries(12):
        browser.page(SERVERS)


def test_an_admin_s_page_lists_the_project_s_own(there: Any, foreign: Instance):
    browser = Browser()
    browser.log_in("admin", "admin's password")
    assert "secret server" not in browser.page(SERVERS)


def test_a_reader_sees_pages_and_no_button(there: Any, demo: Tenant, server: Make):
    from identity.models import Role, RoleAssignment

    RoleAssignment.objects.filter(user_id=demo.user_id).delete()
    RoleAssignment.objects.create(
        user_id=demo.user_id, project_id=demo.project_id, role=Role.objects.get(name="reader")
    )
    browser = Browser()
    browser.log_in()
    text = browser.page(f"{SERVERS}/{server('active').id}")
    assert "/browse/servers/" not in text
    assert "Create server" not in browser.page(SERVERS)


def test_deleted_servers_are_gone(browser: Browser, demo: Tenant):
    browser.page(f"{SERVERS}/{a_server(demo, 'deleted').id}", 404)


def test_a_server_whose_operation_ends_while_its_page_is_made_is_shown_as_it_is_then(
    browser: Browser, demo: Tenant, server: Make, monkeypatch: pytest.MonkeyPatch
):
    made = server("active", "powering-off")
    _operation(made)
    timeline = operations.timeline

    def ended_meanwhile(api: Any, operation_id: str) -> dict[str, Any]:
        Operation.objects.update(state="succeeded", finished_at=utc_now())
        Instance.objects.filter(id=made.id).update(vm_state="stopped", task_state=None)
        return timeline(api, operation_id)

    monkeypatch.setattr(operations, "timeline", ended_meanwhile)
    text = browser.page(f"{SERVERS}/{made.id}")
    assert '<span class="calm">SHUTOFF</span>' in text
    assert "data-events" not in text


def test_each_page_says_which_of_the_lists_it_belongs_to(browser: Browser):
    for address in (*NAV, "/browse/servers/new", "/browse/keypairs/new"):
        assert browser.page(address).count('aria-current="page"') == 1
    assert 'aria-current="page"' not in browser.page("/browse/projects")


def test_moments_are_in_utc_for_people(browser: Browser, server: Make):
    text = browser.page(f"{SERVERS}/{server('active').id}")
    assert re.search(r"<span>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC</span>", text)
