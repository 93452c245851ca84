"""The form that creates a server, with what there is to choose from; the API alone says what is wrong with it."""

import base64
from typing import Any

from django.http import HttpResponseBase, HttpResponseRedirect
from django.views.decorators.http import require_http_methods

from computecloud.browse import show
from computecloud.browse.calls import Api
from computecloud.browse.forms import Choice, Field, Form
from computecloud.browse.servers import IMAGES_NAMED, ROOT, address
from computecloud.browse.sessions import page

AUTO, NONE = "auto", "none"


@require_http_methods(["GET", "POST"])
@page
def create(api: Api) -> HttpResponseBase:
    """Show the form; when it is sent, create the server and show it."""
    form = _form(api)
    if api.request.method == "GET":
        return show.form(api.request, form)
    form.read(api.request.POST)
    if _is_of_another_project(api):
        form.error = (
            "You have chosen another project in another tab meanwhile. Look again at what to choose here."
        )
        return show.form(api.request, form, status=409)
    answer = api.ask("POST", f"{ROOT}/servers", _body(form), HTTP_IDEMPOTENCY_KEY=form.key)
    if answer.is_ok:
        made = answer.data.get("server")
        return HttpResponseRedirect(address(made["id"]) if made else f"{ROOT}/servers")
    form.refuse(answer)
    return show.form(api.request, form, status=answer.status)


def _is_of_another_project(api: Api) -> bool:
    """Tell whether the form was shown for another project than the session speaks for now."""
    shown_for = api.request.POST.get("project")
    return shown_for is not None and api.caller is not None and shown_for != api.caller.project_id


def _form(api: Api) -> Form:
    flavors = api.get(f"{ROOT}/flavors/detail")["flavors"]
    images = api.found("/image/v2/images", "images", limit=IMAGES_NAMED, status="active")
    networks = api.found("/network/v2.0/networks", "networks")
    groups = api.found("/network/v2.0/security-groups", "security_groups")
    keys = api.found(f"{ROOT}/os-keypairs", "keypairs")
    ways = [Choice(AUTO, "the project's own, made where there is none"), Choice(NONE, "no network")]
    named = [Choice(one["id"], one["name"] or one["id"]) for one in networks]
    pairs = [Choice(one["keypair"]["name"], one["keypair"]["name"]) for one in keys]
    return Form(
        title="Create a server",
        fields=[
            Field(name="name", label="Name", path="server.name"),
            Field(
                name="flavor",
                label="Flavor",
                path="server.flavorRef",
                kind="one",
                choices=[Choice(one["id"], _sizes(one)) for one in flavors],
            ),
            Field(
                name="image",
                label="Image",
                path="server.imageRef",
                kind="one",
                choices=[Choice(one["id"], one["name"] or one["id"]) for one in images],
            ),
            Field(
                name="networks",
                label="Networks",
                path="server.networks",
                kind="many",
                choices=[*named, *ways],
                values=[AUTO] if not named else [named[0].value],
            ),
            Field(
                name="key",
                label="Key pair",
                path="server.key_name",
                kind="one",
                choices=[Choice("", "none"), *pairs],
                values=[pairs[0].value] if pairs else [],
            ),
            Field(
                name="groups",
                label="Security groups",
                path="server.security_groups",
                kind="many",
                choices=[Choice(name, name) for name in sorted({one["name"] for one in groups})],
                help="None: the group default.",
            ),
            *_further(),
        ],
    )


def _further() -> list[Field]:
    """Return the questions that most servers leave as they are."""
    return [
        Field(name="count", label="How many", path="server.max_count", values=["1"]),
        Field(name="description", label="Description", path="server.description"),
        Field(
            name="user_data",
            label="User data",
            path="server.user_data",
            kind="area",
            help="A script or cloud-config that the guest runs when it first starts.",
        ),
    ]


def _sizes(flavor: dict[str, Any]) -> str:
    return f"{flavor['name']} ({flavor['vcpus']} CPU, {flavor['ram']} MiB, {flavor['disk']} GiB)"


def _body(form: Form) -> dict[str, Any]:
    """Return what the form says as the API's body; nothing is checked here."""
    server: dict[str, Any] = {
        "name": form.one("name"),
        "flavorRef": form.one("flavor"),
        "imageRef": form.one("image"),
        "networks": _networks(form.all("networks")),
        "key_name": form.one("key"),
        "security_groups": [{"name": name} for name in form.all("groups")],
        "description": form.one("description"),
        "user_data": base64.b64encode(form.one("user_data").encode()).decode(),
    }
    if (count := form.one("count")) not in ("", "1"):
        server |= {"min_count": count, "max_count": count}
    asked = {"name", "flavorRef", "imageRef"}
    return {"server": {key: value for key, value in server.items() if value or key in asked}}


def _networks(chosen: list[str]) -> Any:
    words = [one for one in chosen if one in (AUTO, NONE)]
    if words and len(chosen) == 1:
        return words[0]
    return [{"uuid": one} for one in chosen] if chosen else AUTO
