"""What a cloud has on this machine, seen from outside: by the machine's own tools, without the project.

    leftovers.py STATE_DIR                 prints a snapshot as JSON
    leftovers.py STATE_DIR BEFORE.json     prints what differs from that snapshot; exit code 1 where something does

Links, namespaces, rules, processes and domains are the whole machine's; files, queues and rows are the cloud's that
keeps its state in STATE_DIR. Parts of it that are not there (no libvirtd, no database yet) count as empty.
"""

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

TIMEOUT_S = 30
LIBVIRT = "qemu:///system"
DATABASE = "COMPUTECLOUD_DATABASE_URL="
COUNTED = {
    "allocations": "SELECT count(*) FROM scheduling_allocation",
    "inventories' used": "SELECT coalesce(sum(used), 0) FROM scheduling_inventory",
    "charges": "SELECT count(*) FROM quotas_charge",
    "charged instances": "SELECT coalesce(sum(instances), 0) FROM quotas_projectusage",
    "charged cores": "SELECT coalesce(sum(cores), 0) FROM quotas_projectusage",
    "charged memory": "SELECT coalesce(sum(ram_mib), 0) FROM quotas_projectusage",
    "ports with instance": "SELECT count(*) FROM networking_port WHERE instance_id IS NOT NULL",
    "ports": "SELECT count(*) FROM networking_port",
    "addresses": "SELECT count(*) FROM networking_portaddress",
    "footprints": "SELECT count(*) FROM workers_footprint",
    "subjects": "SELECT count(*) FROM workers_subject",
    "held subjects": "SELECT count(*) FROM workers_subject WHERE holder IS NOT NULL OR sharers <> 0",
    "locks": "SELECT count(*) FROM workers_subjectlock",
    "secrets": "SELECT count(*) FROM workers_secret",
    "inquiries": "SELECT count(*) FROM workers_inquiry",
    "active operations": "SELECT count(*) FROM workers_operation WHERE state IN ('pending', 'running', 'undoing')",
    "leases": "SELECT count(*) FROM workers_operation WHERE lease_token IS NOT NULL",
    "servers": "SELECT count(*) FROM instances_instance WHERE NOT deleted",
}

Snapshot = dict[str, dict[str, int]]  # kind of thing: how often each thing of that kind is there


def snapshot(state_dir: str | Path) -> Snapshot:
    """Return everything that is there now."""
    state = Path(state_dir)
    return {
        "domain": Counter(_lines("virsh", "-c", LIBVIRT, "list", "--all", "--uuid", "--name")),
        "guest process": Counter(_guest_processes()),
        "disk": Counter(_under(state, "hosts/*/guests/**/*")),
        "fake guest": Counter(_fake_guests(state)),
        "cached image": Counter(_under(state, "hosts/*/cache/*")),
        "link": Counter(link["ifname"] for link in json.loads(_run("ip", "-j", "link") or "[]")),
        "namespace": Counter(line.split()[0] for line in _lines("ip", "netns")),
        "rule": Counter(_rules()),
        "dnsmasq": Counter(" ".join(words) for words in _commands("dnsmasq")),
        "wiring file": Counter(_under(Path("/run"), "computecloud-*/**/*")),
        "message in queue": _queues(state),
        "row": _rows(state),
    }


def compare(before: Snapshot, after: Snapshot) -> list[str]:
    """Return a line for each thing that came, went, or is there another number of times; empty where nothing did."""
    differences = []
    for kind in sorted({*before, *after}):
        was, now = before.get(kind, {}), after.get(kind, {})
        for name in sorted({*was, *now}):
            counts = was.get(name, 0), now.get(name, 0)
            if counts[0] != counts[1]:
                differences.append(f"{kind}: {name}: {counts[0]} before, {counts[1]} now")
    return differences


def _run(*command: str) -> str:
    """Return a command's output; empty where it fails, as virsh does without a libvirtd."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    program = shutil.which(command[0], path=path)
    if program is None:
        return ""
    done = subprocess.run(
        [program, *command[1:]], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    return done.stdout if done.returncode == 0 else ""


def _lines(*command: str) -> list[str]:
    return [line.strip() for line in _run(*command).splitlines() if line.strip()]


def _under(root: Path, pattern: str) -> list[str]:
    return [str(path.relative_to(root)) for path in root.glob(pattern) if path.is_file()]


def _commands(program: str) -> Iterator[list[str]]:
    """Yield the command line of every process of a program."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_text(errors="replace").rstrip("\0").split("\0")
            except OSError:
                continue
            if Path(words[0]).name == program:
                yield words


def _guest_processes() -> Iterator[str]:
    for words in _commands("qemu-system-x86_64"):
        options = dict(pairwise(words))
        if options.get("-name", "").startswith("guest="):
            yield f"{options['-name']} {options.get('-uuid', '')}"


def _rules() -> Iterator[str]:
    """Yield every object of the ruleset, without what changes by itself: handles, counters, the order of elements."""
    for item in json.loads(_run("nft", "-j", "list", "ruleset") or '{"nftables": []}')["nftables"]:
        if "metainfo" not in item:
            yield json.dumps(_lasting(item), sort_keys=True)


def _lasting(value: object) -> object:
    if isinstance(value, dict):
        kept = {
            key: _lasting(inner)
            for key, inner in value.items()
            if key not in ("handle", "counter", "packets", "bytes")
        }
        if isinstance(kept.get("elem"), list):
            kept["elem"].sort(key=lambda element: json.dumps(element, sort_keys=True))
        return kept
    return [_lasting(inner) for inner in value] if isinstance(value, list) else value


def _fake_guests(state: Path) -> list[str]:
    found = []
    for file in (state / "hosts").glob("*/fake/guests.sqlite3"):
        rows = _query(file, "SELECT node, uuid, defined, folder FROM guest")
        found += [f"{node} {uuid} defined={defined} folder={folder}" for node, uuid, defined, folder in rows]
    return found


def _queues(state: Path) -> dict[str, int]:
    """Return the length of every list in the cloud's Redis."""
    socket = str(state / "run" / "redis.sock")
    if not Path(socket).exists():
        return {}
    keys = _lines("redis-cli", "-s", socket, "--scan")
    queues = [key for key in keys if _lines("redis-cli", "-s", socket, "type", key) == ["list"]]
    return {queue: int(_run("redis-cli", "-s", socket, "llen", queue) or 0) for queue in queues}


def _rows(state: Path) -> dict[str, int]:
    if url := _postgresql(state):
        together = " UNION ALL ".join(f"SELECT '{n}', ({sql})" for n, sql in enumerate(COUNTED.values()))
        rows = dict(line.split("|") for line in _lines("psql", "-XAtq", "-d", url, "-c", together))
        return {name: int(rows[str(n)]) for n, name in enumerate(COUNTED) if rows}
    file = state / "computecloud.sqlite3"
    if not file.exists():
        return {}
    return {name: int(_query(file, question)[0][0]) for name, question in COUNTED.items()}


def _postgresql(state: Path) -> str:
    """Return the address of the cloud's database as its settings give it; empty where that is SQLite."""
    settings = state / "settings.env"
    words = shlex.split(settings.read_text(), comments=True) if settings.exists() else []
    return next((word.removeprefix(DATABASE) for word in words if word.startswith(DATABASE)), "")


def _query(file: Path, question: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=TIMEOUT_S)
    try:
        return list(connection.execute(question))
    finally:
        connection.close()


def main(words: list[str]) -> int:
    """Print a snapshot, or what differs from an earlier one."""
    now = snapshot(words[0])
    if len(words) == 1:
        sys.stdout.write(json.dumps(now, indent=1) + "\n")
        return 0
    differences = compare(json.loads(Path(words[1]).read_text()), now)
    sys.stdout.write(("\n".join(differences) or "nothing differs") + "\n")
    return int(bool(differences))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
