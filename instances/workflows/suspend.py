"""Suspend and resume: the guest's memory goes to a file on its host and comes back; the guest is off meanwhile.

The file is part of the guest, as its definition is: what removes the guest removes it.
"""

from hypervisors.driver import PowerState
from instances import transitions
from instances.workflows import deadlines, power
from workers.driver import driver
from workers.workflow import Context, HostDies, Step, Wait, Workflow, register

LOOK_AGAIN_S = 1.0


def keep_memory(ctx: Context) -> Wait | None:
    """Have the guest's memory saved; wait while it is on its way."""
    progress = driver().suspend(ctx.params["node"], ctx.subject_id, ctx.epoch)
    return Wait(LOOK_AGAIN_S, progress) if progress else None


def run_on(ctx: Context) -> Wait | None:
    """Run the guest on from its memory; what it had of wiring is made again where the host has lost it."""
    power.wire(ctx)
    progress = driver().resume(ctx.params["node"], ctx.subject_id, ctx.epoch)
    return Wait(LOOK_AGAIN_S, progress) if progress else None


def run_again(ctx: Context) -> Wait | None:
    """Run a guest on that was not to be suspended after all; one that has gone off meanwhile stays so."""
    return None if power.state(ctx) in power.OFF else run_on(ctx)


def keep_again(ctx: Context) -> Wait | None:
    """Keep the memory of a guest that was not to run on after all; one that has gone off meanwhile stays so."""
    return None if power.state(ctx) in power.OFF else keep_memory(ctx)


def write_suspended(ctx: Context) -> None:
    """The server is SUSPENDED."""
    transitions.done("suspend", ctx.subject_id, power_state=PowerState.SUSPENDED.value)


def write_resumed(ctx: Context) -> None:
    """The server is ACTIVE."""
    transitions.done("resume", ctx.subject_id, power_state=PowerState.RUNNING.value)


def suspend_failed(ctx: Context) -> None:
    """The server is as it was."""
    power.write_failed(ctx, "suspend")


def resume_failed(ctx: Context) -> None:
    """The server is as it was."""
    power.write_failed(ctx, "resume")


SUSPEND = register(
    Workflow(
        kind="suspend",
        host_dies=HostDies.WAIT,
        deadline_s=deadlines.memory_s,
        done=write_suspended,
        undone=suspend_failed,
        steps=(Step(name="save", do=keep_memory, undo=run_again),),
    )
)

RESUME = register(
    Workflow(
        kind="resume",
        host_dies=HostDies.WAIT,
        deadline_s=deadlines.memory_s,
        done=write_resumed,
        undone=resume_failed,
        steps=(Step(name="restore", do=run_on, undo=keep_again),),
    )
)
