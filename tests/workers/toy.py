"""A workflow whose effects are entries of a dict, to try the engine by itself."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from workers import workflow
from workers.models import Subject
from workers.workflow import CONTROL, Again, Context, HostDies, Step, Trace, Wait, Workflow

WORLD: dict[str, str] = {}  # what stands on the "host"
EFFECTS: Counter[str] = Counter()  # how often something was really changed
ENDED: list[str] = []


def _make(name: str):
    def do(ctx: Context) -> dict[str, Any]:
        if f"{name}:{ctx.subject_id}" not in WORLD:
            WORLD[f"{name}:{ctx.subject_id}"] = str(ctx.operation_id)
            EFFECTS[name] += 1
        return {"name": name}

    return do


def _unmake(name: str):
    def undo(ctx: Context) -> None:
        if WORLD.pop(f"{name}:{ctx.subject_id}", None):
            EFFECTS[name] -= 1

    return undo


def _choose(ctx: Context, _: dict[str, Any]) -> None:
    ctx.host = "toyhost"


def _traces(name: str):
    def leaves(_: Context) -> Iterator[Trace]:
        return iter([Trace("thing", name)])

    return leaves


def _wait_once(ctx: Context) -> dict[str, Any] | Wait:
    if f"waited:{ctx.subject_id}" not in WORLD:
        WORLD[f"waited:{ctx.subject_id}"] = "yes"
        return Wait(5.0, "once", slow=ctx.params.get("slow", False))
    WORLD.pop(f"waited:{ctx.subject_id}")
    return {}


def _done(ctx: Context) -> None:
    ENDED.append("done")


def _again(ctx: Context) -> Again | None:
    return Again({"tried": [1]}) if ctx.params.get("again") and ctx.round == 1 else None


def _undone(ctx: Context) -> None:
    ENDED.append("leftovers" if ctx.leftovers else "undone")


TOY = workflow.register(
    Workflow(
        kind="toy",
        makes_subject=True,
        host_dies=HostDies.MOVE,
        deadline_s=60,
        done=_done,
        again=_again,
        undone=_undone,
        steps=(
            Step(
                name="choose", record=_choose, no_undo="a choice leaves nothing", on=CONTROL, sets_host=True
            ),
            Step(name="one", do=_make("one"), undo=_unmake("one"), leaves=_traces("one")),
            Step(
                name="maybe",
                do=_make("maybe"),
                undo=_unmake("maybe"),
                when=lambda params: params.get("maybe", False),
            ),
            Step(name="wait", do=_wait_once, no_undo="it only looks"),
            Step(name="two", do=_make("two"), undo=_unmake("two"), leaves=_traces("two")),
            Step(name="write", do=_make("written"), undo=_unmake("written"), on=CONTROL),
        ),
    )
)


def _clear(ctx: Context) -> None:
    for key in [key for key in WORLD if key.endswith(str(ctx.subject_id))]:
        del WORLD[key]


def _forget(ctx: Context, _: dict[str, Any]) -> None:
    from workers import footprints

    footprints.forget(ctx.subject_id, host=str(ctx.host))


def _gone(ctx: Context) -> None:
    ENDED.append("gone")
    Subject.objects.filter(id=ctx.subject_id).delete()


REMOVE = workflow.register(
    Workflow(
        kind="toy_delete",
        keeps_trying=True,
        host_dies=HostDies.LEAVE,
        deadline_s=60,
        done=_gone,
        undone=_undone,
        steps=(
            Step(name="clear", do=_clear, record=_forget, no_undo="gone is gone"),
            Step(name="release", no_undo="gone is gone", on=CONTROL),
        ),
    )
)
