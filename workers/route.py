"""Which step is next, on which queue: pure functions of a workflow, an operation's parameters and its host."""

from dataclasses import dataclass, replace
from typing import Any

from workers.ledger import DO, UNDO
from workers.workflow import CONTROL, Step, Workflow

FINISH = -1
SLOW = ".slow"


@dataclass(frozen=True, slots=True)
class Link:
    """One step to be run, with the queue that its worker reads."""

    direction: str
    cursor: int
    queue: str


def queue_of(step: Step, host: str | None) -> str:
    """Return the queue of a step whose host is known, or that needs none."""
    return CONTROL if step.on == CONTROL else f"host.{host}"


def slowly(links: list[Link]) -> list[Link]:
    """Return the links with the first one on its host's slow queue, where it waits for something long."""
    first = links[0]
    if first.queue == CONTROL:
        return links
    return [replace(first, queue=first.queue + SLOW), *links[1:]]


def _runs(step: Step, params: dict[str, Any]) -> bool:
    return step.when is None or step.when(params)


def next_cursor(workflow: Workflow, params: dict[str, Any], host: str | None, cursor: int) -> int:
    """Return the number of the first step from cursor on that this operation runs; len(steps) where none is left.

    A host step of an operation that has no host, and will have none, is none of its steps.
    """
    for number in range(cursor, len(workflow.steps)):
        step = workflow.steps[number]
        if not _runs(step, params):
            continue
        if step.on == CONTROL or host or _host_to_come(workflow, params, number):
            return number
    return len(workflow.steps)


def _host_to_come(workflow: Workflow, params: dict[str, Any], number: int) -> bool:
    return any(step.sets_host and _runs(step, params) for step in workflow.steps[:number])


def previous_cursor(workflow: Workflow, params: dict[str, Any], host: str | None, cursor: int) -> int:
    """Return the number of the nearest step at or before cursor that has an undo; FINISH where none is left."""
    for number in range(min(cursor, len(workflow.steps) - 1), -1, -1):
        step = workflow.steps[number]
        if step.undo is not None and _runs(step, params) and (step.on == CONTROL or host):
            return number
    return FINISH


def segment(workflow: Workflow, params: dict[str, Any], host: str | None, cursor: int) -> list[Link]:
    """Return the run of steps from cursor on whose queues are known."""
    links: list[Link] = []
    number = next_cursor(workflow, params, host, cursor)
    while number < len(workflow.steps):
        step = workflow.steps[number]
        if step.on != CONTROL and not host:
            break
        links.append(Link(DO, number, queue_of(step, host)))
        if step.sets_host:
            break
        number = next_cursor(workflow, params, host, number + 1)
    return links


def undo_segment(workflow: Workflow, params: dict[str, Any], host: str | None, cursor: int) -> list[Link]:
    """Return the steps to undo from cursor back; all their queues are known. The last link, -1, ends the undo."""
    links: list[Link] = []
    number = previous_cursor(workflow, params, host, cursor)
    while number >= 0:
        links.append(Link(UNDO, number, queue_of(workflow.steps[number], host)))
        number = previous_cursor(workflow, params, host, number - 1)
    return [*links, Link(UNDO, FINISH, CONTROL)]
