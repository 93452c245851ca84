"""What a tenant does by forms: the API's own validation, its refusals beside the fields, nothing without a form."""

import base64
import re
from collections.abc import Callable
from typing import Any

import pytest

from images.models import Image
from instances import states
from instances.models import Flavor, Instance, KeyPair
from tests.browse.conftest import SERVERS, Browser
from tests.instances.conftest import Tenant
from workers.models import Operation

Make = Callable[..., Instance]
NEW, NEW_KEY = "/browse/servers/new", "/browse/keypairs/new"
PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEChAOkD0xkEbUjJJtNAbKKnNIwFx7iu1VXnbeFx5l me"


def error_at(text: str, field: str) -> str:
    """Return the refusal beside a field, empty where there is none."""
    found = re.search(rf'id="{field}-error">([^<]*)<', text)
    return found[1] if found else ""


@pytest.fixture
def asked(flavor: Flavor, image: Image) -> dict[str, Any]:
    """The least that the form of a server needs."""
    return {"name": "one", "flavor": "1", "image": str(image.id), "networks": "none", "count": "1"}


def test_the_form_offers_what_there_is_to_choose_from(browser: Browser, asked: Any, demo: Tenant):
    KeyPair.objects.create(name="my key", user_id=demo.user_id, fingerprint="f", public_key="k")
    text = browser.page(NEW)
    for words in (
        "m1.nano (1 CPU, 128 MiB, 1 GiB)",
        ">demo</option>",
        ">my key</option>",
        ">default</option>",
    ):
        assert words in text


def test_a_server_is_created_and_shown(browser: Browser, asked: dict[str, Any], demo: Tenant):
    script = "#!/bin/sh\necho hello\n"
    answer = browser.send(NEW, **asked, user_data=script, description="a word")
    made = Instance.objects.get()
    assert answer["Location"] == f"{SERVERS}/{made.id}"
    assert (made.name, made.project_id, made.user_id) == ("one", demo.project_id, demo.user_id)
    assert made.description == "a word"
    assert base64.b64decode(made.user_data).decode().splitlines() == script.splitlines()
    text = browser.page(answer["Location"])
    assert "BUILD" in text
    assert "Newest operation" in text


def test_several_servers_are_created_at_once(browser: Browser, asked: dict[str, Any]):
    browser.send(NEW, **asked | {"count": "3"})
    assert Instance.objects.count() == 3


def test_a_form_that_is_sent_twice_makes_one_server(browser: Browser, asked: dict[str, Any]):
    key = {"idempotency_key": "the-same"}
    places = {browser.send(NEW, **asked, **key)["Location"] for _ in range(2)}
    assert len(places) == 1
    assert Instance.objects.count() == 1


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"name": ""}, "name", "too short"),
        ({"name": "x" * 256}, "name", "too long"),
        ({"flavor": ""}, "flavor", "too short"),
        ({"image": "no id"}, "image", "is not a &#x27;uuid&#x27;"),
        ({"count": "many"}, "count", "is not of type &#x27;integer&#x27;"),
        ({"count": "0"}, "count", "less than the minimum"),
        ({"networks": ["auto", "none"]}, "networks", "is not a &#x27;uuid&#x27;"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    browser: Browser, asked: dict[str, Any], wrong: dict[str, Any], field: str, words: str
):
    answer = browser.send(NEW, **{"description": "kept", **asked, **wrong})
    text = answer.content.decode()
    assert answer.status_code == 400
    assert words in error_at(text, field)
    assert re.search(rf'id="{field}"[^>]* aria-invalid="true"', text)
    assert 'value="kept"' in text
    assert not Instance.objects.exists()


def test_several_wrong_fields_are_all_told(browser: Browser, asked: dict[str, Any]):
    text = browser.send(NEW, **asked | {"name": "", "image": "no"}).content.decode()
    assert error_at(text, "name")
    assert error_at(text, "image")


@pytest.mark.parametrize("wrong", [{"flavor": "none such"}, {"image": "0" * 32}, {"key": "not mine"}])
def test_what_no_field_is_named_for_is_said_above_the_form(
    browser: Browser, asked: dict[str, Any], wrong: dict[str, str]
):
    answer = browser.send(NEW, **asked | wrong)
    assert answer.status_code in (400, 404)
    assert '<p class="error" role="alert">' in answer.content.decode()
    assert not Instance.objects.exists()


def test_the_words_beside_a_field_are_those_of_the_api(browser: Browser, asked: dict[str, Any], demo: Tenant):
    body = {"server": {"name": "", "flavorRef": "1", "imageRef": asked["image"], "networks": "none"}}
    said = demo.post("/servers", body).json()["badRequest"]["message"]
    beside = error_at(browser.send(NEW, **asked | {"name": ""}).content.decode(), "name")
    assert beside in said


def test_a_quota_that_is_used_up_is_said_above_the_form(
    browser: Browser, asked: dict[str, Any], demo: Tenant
):
    from quotas import services as quotas

    quotas.set_limits(demo.project_id, instances=0)
    answer = browser.send(NEW, **asked)
    assert answer.status_code == 403
    assert "Quota exceeded" in answer.content.decode()


def test_the_form_of_another_project_creates_nothing(browser: Browser, asked: dict[str, Any]):
    answer = browser.send(NEW, **asked, project="another")
    assert answer.status_code == 409
    assert "another project" in answer.content.decode()
    assert not Instance.objects.exists()


def test_the_next_key_goes_where_something_is_wrong(browser: Browser, asked: dict[str, Any]):
    assert re.search(r'id="name"[^>]* autofocus', browser.page(NEW))
    text = browser.send(NEW, **asked | {"count": "many"}).content.decode()
    assert re.search(r'id="count"[^>]* aria-describedby="count-error" autofocus', text)
    assert text.count("autofocus") == 1


def test_a_form_that_another_site_sends_creates_nothing(browser: Browser, asked: dict[str, Any]):
    assert browser.post(NEW, asked).status_code == 403
    assert not Instance.objects.exists()


BUTTON = re.compile(r'name="act" value="([a-z_]+)"')


@pytest.mark.parametrize("vm_state", [state for state in states.VmState if state != "deleted"])
@pytest.mark.parametrize("task_state", [None, "rebooting", "deleting", "powering-off"])
def test_the_buttons_are_what_the_table_of_states_allows(
    browser: Browser, server: Make, vm_state: str, task_state: str | None
):
    shown = browser.page(f"{SERVERS}/{server(vm_state, task_state).id}")
    allowed = {
        name
        for name, row in states.ACTIONS.items()
        if vm_state in row.vm_states and task_state in row.task_states
    }
    offered = {"start", "stop", "reboot", "reboot_hard", "pause", "unpause", "suspend", "resume"}
    assert set(BUTTON.findall(shown)) == (allowed & offered) | {"lock"}
    assert ("/delete" in shown) == ("delete" in allowed)


def test_a_locked_server_offers_only_to_unlock_it(browser: Browser, server: Make):
    shown = browser.page(f"{SERVERS}/{server('active', locked_by='owner').id}")
    assert BUTTON.findall(shown) == ["unlock"]
    assert "/delete" not in shown


@pytest.mark.parametrize(
    ("vm_state", "act", "task_state"),
    [
        ("active", "stop", "powering-off"),
        ("stopped", "start", "powering-on"),
        ("active", "reboot", "rebooting"),
        ("active", "reboot_hard", "rebooting_hard"),
        ("active", "pause", "pausing"),
        ("paused", "unpause", "unpausing"),
        ("active", "suspend", "suspending"),
        ("suspended", "resume", "resuming"),
    ],
)
def test_a_button_does_what_it_says(browser: Browser, server: Make, vm_state: str, act: str, task_state: str):
    made = server(vm_state, host="testhost", node="testhost")
    at = f"{SERVERS}/{made.id}"
    assert browser.send(f"/browse/servers/{made.id}/act", form=at, act=act)["Location"] == at
    made.refresh_from_db()
    assert made.task_state == task_state


def test_lock_and_unlock_are_buttons(browser: Browser, server: Make):
    made = server("active")
    for act, locked in (("lock", "owner"), ("unlock", "")):
        browser.send(f"/browse/servers/{made.id}/act", form=f"{SERVERS}/{made.id}", act=act)
        made.refresh_from_db()
        assert made.locked_by == locked


def test_an_action_that_came_too_late_is_refused_in_the_api_s_words(browser: Browser, server: Make):
    made = server("stopped")
    answer = browser.send(f"/browse/servers/{made.id}/act", form=f"{SERVERS}/{made.id}", act="stop")
    assert answer.status_code == 409
    assert "while it is in vm_state stopped" in answer.content.decode()
    assert f'<a class="button" href="{SERVERS}/{made.id}">Back</a>' in answer.content.decode()


@pytest.mark.parametrize("act", ["", "none", "os-resetState", "delete"])
def test_an_unknown_action_is_refused(browser: Browser, server: Make, act: str):
    made = server("active")
    answer = browser.send(f"/browse/servers/{made.id}/act", form=f"{SERVERS}/{made.id}", act=act)
    assert answer.status_code == 400


POSTS = ("act", "delete")


@pytest.mark.parametrize("what", POSTS)
def test_a_forged_form_does_nothing_to_a_server(browser: Browser, server: Make, what: str):
    made = server("active")
    assert browser.post(f"/browse/servers/{made.id}/{what}", {"act": "stop"}).status_code == 403
    made.refresh_from_db()
    assert made.task_state is None


@pytest.mark.parametrize("what", POSTS)
def test_another_tenant_s_server_is_not_found_by_forms(browser: Browser, foreign: Instance, what: str):
    answer = browser.send(f"/browse/servers/{foreign.id}/{what}", form="/browse/projects", act="stop")
    assert answer.status_code == 404
    foreign.refresh_from_db()
    assert foreign.task_state is None


@pytest.mark.parametrize("address", ["act", "delete", "console"])
def test_a_reader_s_form_is_refused(there: Any, demo: Tenant, server: Make, address: str):
    from identity.models import Role, RoleAssignment

    RoleAssignment.objects.filter(user_id=demo.user_id).delete()
    RoleAssignment.objects.create(
        user_id=demo.user_id, project_id=demo.project_id, role=Role.objects.get(name="reader")
    )
    browser, made = Browser(), server("active")
    browser.log_in()
    at = f"/browse/servers/{made.id}/{address}"
    answer = (
        browser.get(at) if address == "console" else browser.send(at, form="/browse/projects", act="stop")
    )
    assert answer.status_code == 403
    assert "Policy doesn&#x27;t allow" in answer.content.decode()


def test_a_server_is_deleted_after_asking_back(browser: Browser, server: Make):
    made = server("active", name="old one")
    at = f"/browse/servers/{made.id}/delete"
    assert "Delete the server old one?" in browser.page(at)
    made.refresh_from_db()
    assert made.task_state is None
    assert browser.send(at)["Location"] == SERVERS
    made.refresh_from_db()
    assert made.task_state == "deleting"
    assert Operation.objects.get().kind == "delete"


def test_a_locked_server_is_not_deleted(browser: Browser, server: Make):
    answer = browser.send(f"/browse/servers/{server('active', locked_by='owner').id}/delete")
    assert answer.status_code == 409
    assert "is locked" in answer.content.decode()


def test_the_console_of_a_server_without_a_host_is_refused_in_words(browser: Browser, server: Make):
    made = server("building")
    assert f"Instance {made.id} is not ready" in browser.page(f"/browse/servers/{made.id}/console", 409)


def test_a_public_key_is_imported(browser: Browser, demo: Tenant):
    answer = browser.send(NEW_KEY, name="mine", public_key=f"{PUBLIC}\r\n")
    assert answer["Location"] == "/compute/v2.1/os-keypairs/mine"
    assert KeyPair.objects.get().public_key == PUBLIC
    assert "mine" in browser.page(answer["Location"])


def test_a_pair_is_made_and_its_private_key_shown_once(browser: Browser):
    answer = browser.send(NEW_KEY, name="made")
    text = answer.content.decode()
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert "PRIVATE KEY" in text
    assert "PRIVATE KEY" not in browser.page("/compute/v2.1/os-keypairs/made")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"name": ""}, "name"), ({"name": "x" * 256}, "name"), ({"public_key": "\x01"}, "public_key")],
)
def test_what_is_wrong_with_a_key_is_said_beside_its_field(
    browser: Browser, wrong: dict[str, str], field: str
):
    answer = browser.send(NEW_KEY, **{"name": "k", "public_key": PUBLIC} | wrong)
    assert answer.status_code == 400
    assert error_at(answer.content.decode(), field)


def test_a_name_that_is_taken_is_said_above_the_form(browser: Browser):
    browser.send(NEW_KEY, name="mine", public_key=PUBLIC)
    answer = browser.send(NEW_KEY, name="mine", public_key=PUBLIC)
    assert answer.status_code == 409
    assert "already exists" in answer.content.decode()


def test_a_key_pair_is_deleted_after_asking_back(browser: Browser):
    browser.send(NEW_KEY, name="a key", public_key=PUBLIC)
    at = "/browse/keypairs/a%20key/delete"
    assert "Delete the key pair a key?" in browser.page(at)
    assert browser.send(at)["Location"] == "/compute/v2.1/os-keypairs"
    assert not KeyPair.objects.exists()


def test_another_user_s_key_pair_stays(browser: Browser, foreign: Instance):
    KeyPair.objects.create(name="secret", user_id=foreign.user_id, fingerprint="f", public_key="k")
    answer = browser.send("/browse/keypairs/secret/delete", form="/browse/projects")
    assert answer.status_code == 404
    assert KeyPair.objects.count() == 1


@pytest.mark.parametrize("address", [NEW_KEY, "/browse/keypairs/x/delete", "/browse/operations/x/cancel"])
def test_forged_forms_are_refused(browser: Browser, address: str):
    assert browser.post(address, {"name": "k"}).status_code == 403


def test_addresses_of_forms_alone_are_not_read(browser: Browser):
    for address in ("/browse/logout", "/browse/servers/x/act", "/browse/operations/x/cancel"):
        assert browser.get(address).status_code == 405
