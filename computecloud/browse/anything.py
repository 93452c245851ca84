"""The page of every address of the APIs that has none of its own: the answer as JSON, with links to follow."""

import json
import re

from django.http import HttpResponse
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe

from computecloud.browse import show
from computecloud.browse.calls import Api
from computecloud.browse.sessions import page
from computecloud.wire import links

_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


@require_safe
@page
def anything(api: Api) -> HttpResponse:
    """Show what the API answers at this address."""
    body = api.get(api.request.get_full_path())
    return show.answer(
        api.request,
        "json.html",
        title=api.request.path,
        body=linked(json.dumps(body, indent=2, ensure_ascii=False), links.base(api.request)),
    )


def linked(text: str, base: str) -> SafeString:
    """Return JSON as HTML in which each address of this site is a link."""
    found, end = [], 0
    for match in _TEXT.finditer(text):
        address = match[1].removeprefix(base) if match[1].startswith(f"{base}/") else ""
        if address and url_has_allowed_host_and_scheme(address, allowed_hosts=None):
            before = format_html("{}", text[end : match.start(1)])
            found.append(format_html('{}<a href="{}">{}</a>', before, address, match[1]))
            end = match.end(1)
    found.append(format_html("{}", text[end:]))
    return mark_safe("".join(found))  # noqa: S308  each part is escaped
