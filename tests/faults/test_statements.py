"""What each step of each workflow asks of the database: counted, so that it cannot grow unseen.

A transaction counts as two statements, its begin and its commit. The engine's own are those, and what concerns its
tables: taking the step, footprints, the row of the attempt, the cursor or the end, locks.
"""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.faults.test_matrix import KINDS, begin, steps_of
from tests.faults.world import World
from workers import dispatch, runner, workflow
from workers.models import ACTIVE, Operation
from workers.testing import Drive, failure

OWN = 9  # at most, in any step and in any undo; 9 where a step writes in two transactions
USUAL = 8  # at most, with what rooms ask
# What rooms ask for beside: a claim on a node; ports with their subnets and addresses; all that a server held,
# its place in a group too.
MORE = {
    "create: place": 12,
    "create: wire": 17,
    "delete: clear": 9,
    "delete: release": 20,
    "start: power_on": 11,
    "reboot: power_on": 10,
    "reboot_hard: reset": 11,
    "resume: restore": 11,
}


def is_own(statement: str) -> bool:
    """Tell whether a statement is the engine's: of its tables, or of its transactions."""
    words = statement.replace('"', "").split()
    return "SAVEPOINT" in words[:2] or any(word.startswith("workers_") for word in words[:8])


def statements(operation: Operation) -> dict[str, list[str]]:
    """Run what is left of an operation; returns the statements of each step's longest run, `undo` before an undo's."""
    found: dict[str, list[str]] = {}
    flow = workflow.get(operation.kind)
    while Operation.objects.filter(id=operation.id, state__in=ACTIVE).exists():
        Operation.objects.filter(id=operation.id).update(run_after=0)  # no back-off holds up a test
        operation.refresh_from_db()
        for link in dispatch.links_of(operation):
            with CaptureQueriesContext(connection) as asked:
                runner.run(operation.id, link.direction, link.cursor)
            name = flow.steps[link.cursor].name if link.cursor >= 0 else "end"
            step = f"undo {name}" if link.direction == "undo" else name
            found[step] = max(found.get(step, []), [query["sql"] for query in asked], key=len)
    return found


def shown(step: str, asked: list[str]) -> str:
    return "\n".join([f"{step}: {len(asked)} statements", *(words[:110] for words in asked)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_asks_no_more_than_its_figure(world: World, kind: str):
    _, operation, _ = begin(world, kind)
    found = statements(operation)
    assert set(found) == set(steps_of(kind))
    for step, asked in found.items():
        assert len(asked) <= MORE.get(f"{kind}: {step}", USUAL), shown(step, asked)
        assert 3 <= len([one for one in asked if is_own(one)]) <= OWN, shown(step, asked)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "delete"])
def test_no_undo_asks_more_of_the_engine_than_a_step(world: World, kind: str):
    _, operation, _ = begin(world, kind)
    with_failure = Drive(
        operation.id, [failure(f"{operation.kind}.{steps_of(kind)[-1]}.done", retryable=False)]
    )
    while Operation.objects.get(id=operation.id).state != "undoing":
        with_failure.step()
    found = statements(operation)
    undone = {step: asked for step, asked in found.items() if step.startswith("undo ")}
    assert undone
    for step, asked in undone.items():
        assert len([one for one in asked if is_own(one)]) <= OWN, shown(step, asked)


def test_every_figure_is_of_a_step_that_is_there():
    assert set(MORE) <= {f"{kind}: {step}" for kind in KINDS for step in steps_of(kind)}
