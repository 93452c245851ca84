"""Logging in and out, and choosing a project."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.views.csrf import csrf_failure
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from computecloud.browse import sessions, show
from computecloud.browse.calls import Api
from computecloud.browse.forms import Field, Form
from computecloud.browse.sessions import page


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def log_in(request: HttpRequest) -> HttpResponseBase:
    """Show the form; when it is sent and right, go on to what was asked for."""
    form = Form(
        title="Log in",
        send="Log in",
        fields=[
            Field(name="name", label="User name", path="auth.identity.password.user.name", fills="username"),
            Field(
                name="password",
                label="Password",
                path="auth.identity.password.user.password",
                kind="password",
                fills="current-password",
            ),
            Field(
                name="domain",
                label="Domain",
                path="auth.identity.password.user.domain",
                values=["Default"],
            ),
        ],
    )
    further = sessions.safe(request.POST.get("next") or request.GET.get("next", ""))
    if request.method == "POST":
        form.read(request.POST)
        answer = sessions.begin(
            request,
            name=form.one("name"),
            domain=form.one("domain"),
            password=request.POST.get("password", ""),
        )
        if answer.is_ok:
            return HttpResponseRedirect(further)
        form.refuse(answer)
        if answer.status == 401:
            form.error = "The name, the password or the domain is wrong."
        response = show.form(request, form, status=answer.status, further=further)
        if "Retry-After" in answer.headers:
            response["Retry-After"] = answer.headers["Retry-After"]
        return response
    return show.form(request, form, further=further)


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Refuse a form that holds another log-in's word against forgery, or none."""
    if not hasattr(request, "urlconf"):
        return csrf_failure(request, reason)
    message = "This page is older than your log-in, or another site sent it. Nothing was done."
    return show.refused(request, 403, message)


@require_POST
def log_out(request: HttpRequest) -> HttpResponseBase:
    """Make the token void and end the session."""
    sessions.end(request)
    return HttpResponseRedirect(sessions.LOG_IN)


@require_http_methods(["GET", "POST"])
@page
def projects(api: Api) -> HttpResponseBase:
    """Show the projects where the user has a role; when one is chosen, speak for it from now on."""
    further = sessions.safe(api.request.POST.get("next") or api.request.GET.get("next", ""))
    if api.request.method == "POST":
        answer = sessions.choose(api, api.request.POST.get("project", ""))
        if answer.is_ok:
            return HttpResponseRedirect(further)
        message = "You have no role in this project."
        return show.refused(api.request, 403 if answer.status == 401 else answer.status, message)
    rows = api.get("/identity/v3/auth/projects")["projects"]
    return show.answer(api.request, "projects.html", title="Projects", projects=rows, further=further)


@require_safe
@page
def home(_api: Api) -> HttpResponse:
    """Go to the servers."""
    return HttpResponseRedirect("/compute/v2.1/servers")
