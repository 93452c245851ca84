"""POST /servers/{id}/action: one table from action key to the function that answers it."""

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpResponseBase
from rest_framework.request import Request

from computecloud.wire.errors import InvalidInput
from identity.caller import Caller
from instances import selectors
from instances.api.base import ComputeView
from instances.api.server_bodies import ConsoleOutput, Lock, Reboot, ResetState, SecurityGroup
from instances.models import Instance
from instances.services import console, locking, security_groups, servers
from instances.states import VmState

Handler = Callable[["ActionView", Instance, Any], HttpResponseBase]


def _reboot(view: "ActionView", instance: Instance, body: Any) -> HttpResponseBase:
    view.enforce("os_compute_api:servers:reboot")
    wanted = view.check(Reboot, body, "reboot")
    servers.reboot(view.caller, instance, hard=wanted["type"].upper() == "HARD")
    return view.answer(status=202)


def _simple(rule: str, begin: Callable[[Caller, Instance], None]) -> Handler:
    """Return what answers an action that takes nothing: the rule it needs, and the service that begins it."""

    def handler(view: "ActionView", instance: Instance, _body: Any) -> HttpResponseBase:
        view.enforce(rule)
        begin(view.caller, instance)
        return view.answer(status=202)

    return handler


def _lock(view: "ActionView", instance: Instance, body: Any) -> HttpResponseBase:
    view.enforce("os_compute_api:os-lock-server:lock")
    given = body if view.behaves("servers_know_their_lock_reason") and body is not None else {}
    locking.lock(view.caller, instance, reason=view.check(Lock, given, "lock").get("locked_reason"))
    return view.answer(status=202)


def _reset_state(view: "ActionView", instance: Instance, body: Any) -> HttpResponseBase:
    view.enforce("os_compute_api:os-admin-actions:reset_state")
    state = view.check(ResetState, body, "os-resetState")["state"]
    servers.reset_state(view.caller, instance, VmState(state))
    return view.answer(status=202)


def _console_output(view: "ActionView", instance: Instance, body: Any) -> HttpResponseBase:
    view.enforce("os_compute_api:os-console-output")
    length = view.check(ConsoleOutput, {} if body is None else body, "os-getConsoleOutput").get("length")
    lines = None if length is None or length < 0 else length
    return view.answer({"output": console.output(instance, lines=lines)})


def _add_security_group(view: "ActionView", instance: Instance, body: Any) -> HttpResponseBase:
    view.enforce("os_compute_api:os-security-groups:add")
    wanted = view.check(SecurityGroup, body, "addSecurityGroup")
    security_groups.add(view.caller, instance, wanted["name"])
    return view.answer(status=202)


def _remove_security_group(view: "ActionView", instance: Instance, body: Any) -> HttpResponseBase:
    view.enforce("os_compute_api:os-security-groups:remove")
    wanted = view.check(SecurityGroup, body, "removeSecurityGroup")
    security_groups.remove(view.caller, instance, wanted["name"])
    return view.answer(status=202)


ACTIONS: Mapping[str, Handler] = {
    "os-start": _simple("os_compute_api:servers:start", servers.start),
    "os-stop": _simple("os_compute_api:servers:stop", servers.stop),
    "reboot": _reboot,
    "pause": _simple("os_compute_api:os-pause-server:pause", servers.pause),
    "unpause": _simple("os_compute_api:os-pause-server:unpause", servers.unpause),
    "suspend": _simple("os_compute_api:os-suspend-server:suspend", servers.suspend),
    "resume": _simple("os_compute_api:os-suspend-server:resume", servers.resume),
    "lock": _lock,
    "unlock": _simple("os_compute_api:os-lock-server:unlock", locking.unlock),
    "os-resetState": _reset_state,
    "os-getConsoleOutput": _console_output,
    "addSecurityGroup": _add_security_group,
    "removeSecurityGroup": _remove_security_group,
}


class ActionView(ComputeView):
    """POST /servers/{id}/action."""

    def post(self, _request: Request, server_id: str) -> HttpResponseBase:
        """Do what the body's one key names; most answer 202 before it is done."""
        self.no_query()
        body = self.payload()
        if not isinstance(body, dict) or not body:
            raise InvalidInput("Malformed request body: it must be an object with the name of an action.")
        if len(body) > 1:
            raise InvalidInput("Malformed request body: it names more than one action.")
        name, given = next(iter(body.items()))
        handler = ACTIONS.get(name)
        if handler is None:
            raise InvalidInput(f"There is no such action: {name[:64]}")
        self.require_route(self.route, name)
        return handler(self, selectors.instance(server_id, self.caller), given)
