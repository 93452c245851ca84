"""Pause and unpause: the guest's processors stop, its memory stays in place."""

from hypervisors.driver import PowerState
from instances import transitions
from instances.workflows import deadlines, power
from workers.driver import driver
from workers.workflow import Context, HostDies, Step, Workflow, register


def stop_processors(ctx: Context) -> None:
    """Pause the guest."""
    driver().pause(ctx.params["node"], ctx.subject_id, ctx.epoch)


def run_processors(ctx: Context) -> None:
    """Let the guest run on."""
    driver().resume(ctx.params["node"], ctx.subject_id, ctx.epoch)


def stop_again(ctx: Context) -> None:
    """Pause a guest that was not to run on after all; one that has gone off meanwhile stays so."""
    if power.state(ctx) not in power.OFF:
        stop_processors(ctx)


def run_again(ctx: Context) -> None:
    """Let a guest run on that was not to be paused after all; one that has gone off meanwhile stays so."""
    if power.state(ctx) not in power.OFF:
        run_processors(ctx)


def write_paused(ctx: Context) -> None:
    """The server is PAUSED."""
    transitions.done("pause", ctx.subject_id, power_state=PowerState.PAUSED.value)


def write_unpaused(ctx: Context) -> None:
    """The server is ACTIVE."""
    transitions.done("unpause", ctx.subject_id, power_state=PowerState.RUNNING.value)


def pause_failed(ctx: Context) -> None:
    """The server is as it was."""
    power.write_failed(ctx, "pause")


def unpause_failed(ctx: Context) -> None:
    """The server is as it was."""
    power.write_failed(ctx, "unpause")


PAUSE = register(
    Workflow(
        kind="pause",
        host_dies=HostDies.WAIT,
        deadline_s=deadlines.SHORT_S,
        done=write_paused,
        undone=pause_failed,
        steps=(Step(name="pause", do=stop_processors, undo=run_again),),
    )
)

UNPAUSE = register(
    Workflow(
        kind="unpause",
        host_dies=HostDies.WAIT,
        deadline_s=deadlines.SHORT_S,
        done=write_unpaused,
        undone=unpause_failed,
        steps=(Step(name="unpause", do=run_processors, undo=stop_again),),
    )
)
