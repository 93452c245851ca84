"""The pages of operations: list, and the timeline of one, which follows it while it runs."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import resolve
from django.views.decorators.http import require_POST, require_safe

from computecloud.browse import sessions, show
from computecloud.browse.calls import Api
from computecloud.browse.sessions import View, page
from computecloud.browse.show import Cell, Table
from computecloud.streams import EventStream, Piece, event
from computecloud.wire.errors import Unauthenticated
from identity import policy

ROOT = "/operations"
PAGE = 50
ROOT_URLCONF = "computecloud.urls"


def address(operation_id: str) -> str:
    """Return where an operation is, in the API and as a page."""
    return f"{ROOT}/{quote(operation_id, safe='')}"


def table(found: Sequence[Mapping[str, Any]], title: str, more: str = "") -> Table:
    """Return operations as rows."""
    rows = [
        (
            [Cell(one["kind"], address(one["id"]))],
            [show.status(one["state"])],
            _subject(one["subject"]),
            show.text(one["step"]),
            show.text(show.moment(one["created_at"])),
            show.text(show.moment(one["finished_at"])),
        )
        for one in found
    ]
    headings = ("Operation", "State", "Of", "Step", "Accepted", "Ended")
    return Table(title, headings, rows, "Nothing was done yet.", more)


def timeline(api: Api, operation_id: str) -> dict[str, Any]:
    """Return what the template of a timeline shows."""
    return _shown(api.get(address(operation_id))["operation"])


def or_the_operators(view: View) -> View:
    """Leave the address to the page that operators have there where no tenant has logged in."""

    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if sessions.TOKEN in request.session:
            return view(request, *args, **kwargs)
        match = resolve(request.path_info, ROOT_URLCONF)
        found: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
        return found

    return answer


@or_the_operators
@require_safe
@page
def listing(api: Api) -> HttpResponse:
    """Show what is and was done for the project, newest first."""
    body = api.get(f"{ROOT}/", limit=PAGE, marker=api.request.GET.get("marker"))
    found = body["operations"]
    more = f"{ROOT}/?marker={found[-1]['id']}" if body.get("operations_links") else ""
    return show.answer(
        api.request, "list.html", title="Operations", tables=[table(found, "Operations", more)]
    )


@or_the_operators
@require_safe
@page
def one(api: Api, operation_id: str) -> HttpResponse:
    """Show an operation with its steps; while it runs the page follows it."""
    shown = timeline(api, operation_id)
    may = api.caller is not None and policy.MEMBER in policy.expand(api.caller.roles)
    return show.answer(
        api.request,
        "operation.html",
        title=shown["operation"]["kind"],
        newest=shown,
        cancel=f"/browse/operations/{operation_id}/cancel" if may and shown["is_running"] else "",
    )


@require_POST
@page
def cancel(api: Api, operation_id: str) -> HttpResponseBase:
    """Cancel an operation, and show it again."""
    answer = api.ask("POST", f"{address(operation_id)}/cancel")
    if not answer.is_ok:
        return show.refused(api.request, answer.status, answer.message, back=address(operation_id))
    return HttpResponseRedirect(address(operation_id))


@require_safe
def events(request: HttpRequest, operation_id: str) -> HttpResponseBase:
    """Send an operation's timeline each time that it is another one, and say when it has ended."""
    try:
        api = sessions.of(request)
        first = api.ask("GET", address(operation_id))
    except Unauthenticated:
        return HttpResponse(status=401)
    if not first.is_ok or api.caller is None:
        return HttpResponse(first.message, status=first.status, content_type="text/plain")
    return EventStream(
        _Follower(api, operation_id, request.META.get("HTTP_LAST_EVENT_ID", "")).poll,
        user_id=api.caller.user_id,
    )


class _Follower:
    """Looks at an operation again and again, and tells what is new since `seen`, the id of the last event."""

    def __init__(self, api: Api, operation_id: str, seen: str) -> None:
        self._api, self._id, self._seen = api, operation_id, seen

    def poll(self) -> Piece:
        """Return the timeline where it is another one; it ends with the operation, or with the token."""
        try:
            answer = self._api.ask("GET", address(self._id))
        except Unauthenticated:
            return Piece(event("ended", self._seen, ""), ended=True)
        if answer.status == 503:  # the database is away for a moment
            return Piece()
        if not answer.is_ok:
            return Piece(event("ended", self._seen, ""), ended=True)
        shown = _shown(answer.data["operation"])
        text = render_to_string("browse/timeline.html", {"newest": shown})
        name = sha256(text.encode()).hexdigest()[:16]
        found = b"" if name == self._seen else event("timeline", name, text)
        self._seen = name
        if shown["is_running"]:
            return Piece(found)
        return Piece(found + event("ended", name, ""), ended=True)


def _shown(operation: Mapping[str, Any]) -> dict[str, Any]:
    steps = [
        {**step, "shown": show.status(step["outcome"]), "began": step["started_at"][11:23]}
        for step in operation["steps"]
    ]
    return {
        "operation": operation,
        "address": address(operation["id"]),
        "events": f"/browse/operations/{operation['id']}/events",
        "accepted": show.moment(operation["created_at"]),
        "ended": show.moment(operation["finished_at"]),
        "at": operation["step"] if operation["state"] in ("pending", "running") else "",
        "is_running": operation["finished_at"] is None,
        "state": show.status(operation["state"]),
        "subject": _subject(operation["subject"]),
        "steps": steps,
        "longest_ms": max((step["took_ms"] for step in steps), default=0) or 1,
    }


def _subject(subject: Mapping[str, Any]) -> list[Cell]:
    is_server = subject["type"] == "instance"
    words = f"{'server' if is_server else subject['type']} {subject['id'][:8]}"
    has_page = is_server and subject["exists"]
    return [Cell(words, f"/compute/v2.1/servers/{subject['id']}" if has_page else "")]
