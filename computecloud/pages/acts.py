"""Acts: what operators do to a row, or to many from the list: asked back, done, and kept in the row's history."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from computecloud.pages import panels
from computecloud.wire.errors import CloudError

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    Base = ModelAdmin[Any]
else:
    Base = object

AT_ONCE_MAX = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants an act done, and why."""

    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to be done to a row; do returns in words what became of it, raises CloudError where it may not be.

    asks: what the operator must say first, if anything; applies: whether it makes sense for the row as it is.
    """

    name: str
    words: str
    explains: str
    do: Callable[[Any, Asked], str]
    asks: str = ""
    applies: Callable[[Any], bool] = lambda _row: True


class Acting(Base):
    """Adds acts to the pages of a model; whoever may change its rows may do them."""

    acts: Sequence[Act] = ()

    def may_act(self, request: HttpRequest) -> bool:
        """Tell whether this user may act on such rows."""
        options = self.model._meta
        return request.user.has_perm(f"{options.app_label}.change_{options.model_name}")

    def get_urls(self) -> list[URLPattern]:
        """Return the model's pages, with one for each act."""
        options = self.model._meta
        name = f"{options.app_label}_{options.model_name}_act"
        view = self.admin_site.admin_view(self.act_view)
        return [path("<path:object_id>/act/<slug:act_name>/", view, name=name), *super().get_urls()]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return what may be done to chosen rows: acts, and nothing that nobody declared."""
        found = super().get_actions(request)
        if not self.may_act(request):
            return found
        return {**found, **{act.name: (_to_many(act), act.name, act.words) for act in self.acts}}

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a row, with a button for each act that applies, and what other rooms know of it."""
        row = self.get_object(request, object_id)
        acts = self.acts if row is not None and self.may_act(request) else ()
        buttons = [(act, self._address(row, act)) for act in acts if act.applies(row)]
        shown = panels.of(row) if row is not None and self.has_view_permission(request, row) else []
        context = {**(extra_context or {}), "act_buttons": buttons, "panels": shown}
        return super().change_view(request, object_id, form_url, context)

    def act_view(self, request: HttpRequest, object_id: str, act_name: str) -> HttpResponse:
        """Ask back, then do an act to one row."""
        act = next((act for act in self.acts if act.name == act_name), None)
        row = self.get_object(request, object_id)
        if act is None or row is None:
            raise Http404
        if not self.may_act(request):
            raise PermissionDenied
        shown = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
        return self.ask_and_do(request, act, [row]) or HttpResponseRedirect(shown)

    def ask_and_do(self, request: HttpRequest, act: Act, rows: Iterable[Any]) -> HttpResponse | None:
        """Return the page that asks back; None when that was answered and the act is done."""
        chosen = list(rows)[: AT_ONCE_MAX + 1]
        if len(chosen) > AT_ONCE_MAX:
            self.message_user(request, f"Choose {AT_ONCE_MAX} at most.", messages.ERROR)
            return None
        reason = request.POST.get("reason", "").strip()
        answered = request.method == "POST" and "confirmed" in request.POST
        if answered and (reason or not act.asks):
            self._do(request, act, chosen, Asked(f"operator {request.user.get_username()}", reason))
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": act.words,
            "act": act,
            "rows": chosen,
            "opts": self.model._meta,
            "missing": answered,
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "pages/ask.html", context)

    def _do(self, request: HttpRequest, act: Act, rows: list[Any], asked: Asked) -> None:
        for row in rows:
            try:
                became = act.do(row, asked)
            except CloudError as error:
                self.message_user(request, error.message, messages.WARNING)
            else:
                said = f"{act.words}: {asked.reason}" if asked.reason else act.words
                self.log_change(request, row, f"{said}. {became}")
                self.message_user(request, became)

    def _address(self, row: Any, act: Act) -> str:
        options = self.model._meta
        return reverse(f"admin:{options.app_label}_{options.model_name}_act", args=[row.pk, act.name])


def _to_many(act: Act) -> Callable[[Any, HttpRequest, QuerySet[Any]], HttpResponse | None]:
    def do(pages: Acting, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
        return pages.ask_and_do(request, act, chosen[: AT_ONCE_MAX + 1])

    return do
