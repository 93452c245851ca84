"""The pages of key pairs: list, one, make or import, and asking back before one is forgotten."""

from urllib.parse import quote

from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.views.decorators.http import require_http_methods, require_safe

from computecloud.browse import show
from computecloud.browse.calls import Api
from computecloud.browse.forms import Field, Form
from computecloud.browse.servers import ROOT, after
from computecloud.browse.sessions import page
from computecloud.browse.show import Button, Cell, Fact, Table

PAIRS = f"{ROOT}/os-keypairs"
NEW = "/browse/keypairs/new"
PAGE = 50
MAKES_PAIRS = "compute 2.91"  # the last version that does: newer ones take public keys alone


def _at(name: str) -> str:
    return f"{PAIRS}/{quote(name, safe='')}"


@require_safe
@page
def listing(api: Api) -> HttpResponse:
    """List the user's key pairs."""
    body = api.get(PAIRS, limit=PAGE, marker=api.request.GET.get("marker"))
    pairs = [one["keypair"] for one in body["keypairs"]]
    rows = [
        ([Cell(one["name"], _at(one["name"]))], show.text(one["type"]), show.text(one["fingerprint"]))
        for one in pairs
    ]
    more = after(body.get("keypairs_links"), PAIRS)
    table = Table("Key pairs", ("Name", "Type", "Fingerprint"), rows, more=more)
    new = [Button("Create or import", NEW)]
    return show.answer(api.request, "list.html", title="Key pairs", tables=[table], buttons=new)


@require_safe
@page
def one(api: Api, name: str) -> HttpResponse:
    """Show a key pair."""
    pair = api.get(_at(name))["keypair"]
    facts: list[Fact] = [
        ("Type", show.text(pair["type"])),
        ("Fingerprint", show.text(pair["fingerprint"])),
        ("Public key", show.text(pair["public_key"])),
        ("Created", show.text(show.moment(pair["created_at"]))),
    ]
    delete = Button("Delete…", f"/browse/keypairs/{quote(name, safe='')}/delete", is_bad=True)
    return show.answer(api.request, "facts.html", title=pair["name"], facts=facts, buttons=[delete])


@require_http_methods(["GET", "POST"])
@page
def create(api: Api) -> HttpResponse | HttpResponseRedirect:
    """Show the form; when it is sent, keep the public key, or make a pair and show its private half this once."""
    form = Form(
        title="Create or import a key pair",
        fields=[
            Field(name="name", label="Name", path="keypair.name"),
            Field(
                name="public_key",
                label="Public key",
                path="keypair.public_key",
                kind="area",
                help="Paste one to import it. Left empty, a pair is made and its private key shown once.",
            ),
        ],
    )
    if api.request.method == "GET":
        return show.form(api.request, form)
    form.read(api.request.POST)
    pair, extra = {"name": form.one("name"), "type": "ssh"}, {"HTTP_IDEMPOTENCY_KEY": form.key}
    if public_key := form.one("public_key").strip():
        pair["public_key"] = public_key
    else:
        extra["HTTP_OPENSTACK_API_VERSION"] = MAKES_PAIRS
    answer = api.ask("POST", PAIRS, {"keypair": pair}, **extra)
    if not answer.is_ok:
        form.refuse(answer)
        return show.form(api.request, form, status=answer.status)
    private = answer.data["keypair"].get("private_key")
    if private is None:
        return HttpResponseRedirect(_at(form.one("name")))
    return show.answer(
        api.request, "private_key.html", title=form.one("name"), key=private, back=_at(form.one("name"))
    )


@require_http_methods(["GET", "POST"])
@page
def delete(api: Api, name: str) -> HttpResponseBase:
    """Ask back, then forget the key pair."""
    if api.request.method == "POST":
        answer = api.ask("DELETE", _at(name))
        if not answer.is_ok:
            return show.refused(api.request, answer.status, answer.message)
        return HttpResponseRedirect(PAIRS)
    pair = api.get(_at(name))["keypair"]
    question = f"Delete the key pair {pair['name']}? Servers that have it keep it."
    return show.answer(
        api.request, "confirm.html", title="Delete a key pair", question=question, back=_at(name)
    )
