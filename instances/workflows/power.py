"""Start, stop and reboot. A soft stop asks the guest, looks until it is off, and switches it off when time is up."""

from typing import Any

import networking.services
from hypervisors.driver import GuestNotFound, PowerState
from instances import transitions
from instances.workflows import deadlines
from networking import wiring
from workers import clock
from workers.driver import driver
from workers.workflow import Context, Effect, HostDies, Step, Wait, Workflow, register

LOOK_AGAIN_S = 1.0
PRESS_AGAIN_S = 10.0  # a guest that was still booting has not heard the first press
OFF = (PowerState.SHUTDOWN, PowerState.CRASHED)


def state(ctx: Context) -> PowerState:
    """Return what the guest does; raises GuestNotFound."""
    facts = driver().guest(ctx.params["node"], ctx.subject_id)
    if facts is None:
        raise GuestNotFound(
            f"node {ctx.params['node']} has no guest {ctx.subject_id}; see: computecloud doctor"
        )
    return facts.power_state


def wire(ctx: Context) -> None:
    """Connect the guest's ports where the host has lost their wiring."""
    wiring.connect(networking.services.facts_of(ctx.subject_id))


def switch_on(ctx: Context) -> None:
    """Run the guest; what it had of wiring is made again where the host has lost it."""
    wire(ctx)
    driver().power_on(ctx.params["node"], ctx.subject_id, ctx.epoch)


def switch_off(ctx: Context) -> None:
    """Switch the guest off at once."""
    driver().power_off(ctx.params["node"], ctx.subject_id, ctx.epoch)


def _left_s(ctx: Context) -> float:
    """Return how long it is until the operation is turned back; its deadline moves with a clock that is stepped."""
    return ctx.deadline - clock.now()


def ask_to_shut_down(ctx: Context) -> dict[str, Any]:
    """Press the guest's power button."""
    if state(ctx) is PowerState.RUNNING:
        driver().request_shutdown(ctx.params["node"], ctx.subject_id, ctx.epoch)
    return {"left_s": _left_s(ctx)}


def await_off(ctx: Context) -> dict[str, Any] | Wait:
    """Look until the guest is off, and press its button now and then; switch it off when its time is up.

    One that is paused or asleep hears no button, and is switched off at once.
    """
    seen = state(ctx)
    if seen in OFF:
        return {"by_itself": True}
    left_s = _left_s(ctx)
    waited_s = ctx.results["ask"].get("left_s", left_s) - left_s
    hears = seen is PowerState.RUNNING
    if hears and waited_s < deadlines.PATIENCE_S and left_s > deadlines.MARGIN_S / 2:
        if waited_s >= PRESS_AGAIN_S and waited_s % PRESS_AGAIN_S < 2 * LOOK_AGAIN_S:
            driver().request_shutdown(ctx.params["node"], ctx.subject_id, ctx.epoch)
        return Wait(LOOK_AGAIN_S, "the guest is shutting down")
    switch_off(ctx)
    return {"by_itself": False}


def reset(ctx: Context) -> None:
    """Reset the guest at once, or run it where it is off."""
    wire(ctx)
    driver().reboot(ctx.params["node"], ctx.subject_id, ctx.epoch)


def _is_soft(params: dict[str, Any]) -> bool:
    return not params["hard"]


def _is_hard(params: dict[str, Any]) -> bool:
    return bool(params["hard"])


def write_started(ctx: Context) -> None:
    """The server is ACTIVE."""
    transitions.done("start", ctx.subject_id, power_state=PowerState.RUNNING.value)


def write_stopped(ctx: Context) -> None:
    """The server is SHUTOFF."""
    transitions.done("stop", ctx.subject_id, power_state=PowerState.SHUTDOWN.value)


def write_rebooted(ctx: Context) -> None:
    """The server is ACTIVE again."""
    transitions.done(_reboot_action(ctx), ctx.subject_id, power_state=PowerState.RUNNING.value)


def start_failed(ctx: Context) -> None:
    """The server is as it was."""
    write_failed(ctx, "start")


def stop_failed(ctx: Context) -> None:
    """The server is as it was."""
    write_failed(ctx, "stop")


def reboot_failed(ctx: Context) -> None:
    """The server is as it was, or in ERROR where a hard reboot failed."""
    write_failed(ctx, _reboot_action(ctx))


def write_failed(ctx: Context, action: str) -> None:
    """The server is as it was, or as the table says of the action's failure, with the reason where nobody wished it."""
    if ctx.cancelled_by and not ctx.leftovers:
        transitions.cancelled(action, ctx.subject_id)
    else:
        transitions.failed(action, ctx.subject_id, {"code": 500, "message": ctx.error})


def _reboot_action(ctx: Context) -> str:
    return "reboot_hard" if ctx.params["hard"] else "reboot"


_PRESSED = "a guest that is going down does not hear its button again"
_ASKED = "the undo of ask switches it on again"

START = register(
    Workflow(
        kind="start",
        host_dies=HostDies.WAIT,
        deadline_s=deadlines.SHORT_S,
        done=write_started,
        undone=start_failed,
        steps=(Step(name="power_on", do=switch_on, undo=switch_off),),
    )
)

STOP = register(
    Workflow(
        kind="stop",
        host_dies=HostDies.WAIT,
        deadline_s=deadlines.SHUTDOWN_S,
        done=write_stopped,
        undone=stop_failed,
        steps=(
            Step(name="ask", do=ask_to_shut_down, undo=switch_on, effect=Effect.AT_LEAST_ONCE, why=_PRESSED),
            Step(name="await_off", do=await_off, no_undo=_ASKED),
        ),
    )
)

REBOOT = register(
    Workflow(
        kind="reboot",
        host_dies=HostDies.UNDO,  # a host that is back after minutes need not reboot its guest as well
        deadline_s=deadlines.SHUTDOWN_S,
        done=write_rebooted,
        undone=reboot_failed,
        steps=(
            Step(
                name="ask",
                do=ask_to_shut_down,
                undo=switch_on,
                effect=Effect.AT_LEAST_ONCE,
                why=_PRESSED,
                when=_is_soft,
            ),
            Step(name="await_off", do=await_off, no_undo=_ASKED, when=_is_soft),
            Step(name="power_on", do=switch_on, no_undo="the guest ran before, and runs", when=_is_soft),
            Step(
                name="reset",
                do=reset,
                no_undo="the guest ran before, and runs",
                effect=Effect.AT_LEAST_ONCE,
                why="a guest that is reset twice in a row has booted once in the end",
                when=_is_hard,
            ),
        ),
    )
)
