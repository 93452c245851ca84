"""An instance's states have one writer."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = (
    "computecloud",
    "identity",
    "workers",
    "quotas",
    "scheduling",
    "networking",
    "images",
    "instances",
    "hypervisors",
)
WRITER = ROOT / "instances" / "transitions.py"
ASSIGNMENT = re.compile(
    r"""\.(vm_state|task_state)\s*=[^=]              # instance.vm_state = …
    | \b(update|create|bulk_create|update_or_create|Instance)\([^()]*\b(vm_state|task_state)\s*=[^=]
    | setattr\([^)]*["'](vm_state|task_state)["']
    | \bSET\b[^"']*\b(vm_state|task_state)\b""",
    re.VERBOSE,
)


def sources():
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            if path != WRITER and "migrations" not in path.parts:
                yield path


def test_nobody_but_transitions_writes_an_instance_s_states():
    found = {
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in sources()
        for match in ASSIGNMENT.finditer(path.read_text())
    }
    assert not found


def test_the_search_would_find_a_writer():
    for line in (
        'instance.vm_state = "active"',
        "rows.update(task_state=None)",
        "Instance(vm_state=1)",
        'setattr(one, "vm_state", 1)',
        "UPDATE instances_instance SET task_state = NULL",
    ):
        assert ASSIGNMENT.search(line), line
    assert not ASSIGNMENT.search('if instance.vm_state == "active":')
