"""The hint `query`: a small JSON grammar over a node's figures, as Nova's JsonFilter has it.

An expression is [operator, operand, …]; an operand is a figure ("$free_ram_mb"), a plain value or an expression. The
operators: = < > in <= >= compare the first operand with each of the others; not, and, or join.
"""

import json
import operator
from collections.abc import Callable, Mapping
from typing import Any

from computecloud.wire.errors import InvalidInput
from scheduling.models import DISK_GB, MEMORY_MB, VCPU
from scheduling.request import Candidate

MAX_CHARS = 4_096
MAX_DEPTH = 8


def _stock(resource: str, figure: Callable[[Any], float]) -> Callable[[Candidate], float]:
    return lambda node: figure(node.stocks[resource]) if resource in node.stocks else 0


FIGURES: Mapping[str, Callable[[Candidate], Any]] = {
    "$host": lambda node: node.host,
    "$nodename": lambda node: node.name,
    "$hypervisor_hostname": lambda node: node.name,
    "$hypervisor_type": lambda node: node.hypervisor_type,
    "$host_ip": lambda node: node.host_ip,
    "$free_ram_mb": _stock(MEMORY_MB, lambda stock: stock.free),
    "$total_usable_ram_mb": _stock(MEMORY_MB, lambda stock: stock.total),
    "$free_disk_mb": _stock(DISK_GB, lambda stock: stock.free * 1024),
    "$total_usable_disk_gb": _stock(DISK_GB, lambda stock: stock.total),
    "$vcpus_total": _stock(VCPU, lambda stock: stock.total),
    "$vcpus_used": _stock(VCPU, lambda stock: stock.used),
}


def _compare(compare: Callable[[Any, Any], bool]) -> Callable[[list[Any]], bool]:
    def all_of(values: list[Any]) -> bool:
        first, *others = values
        try:
            return bool(others) and all(compare(first, other) for other in others)
        except TypeError:  # a text against a number
            return False

    return all_of


_OPERATORS: Mapping[str, Callable[[list[Any]], bool]] = {
    "=": _compare(operator.eq),
    "<": _compare(operator.lt),
    ">": _compare(operator.gt),
    "<=": _compare(operator.le),
    ">=": _compare(operator.ge),
    "in": lambda values: values[0] in values[1:],
    "not": lambda values: not any(values),
    "or": any,
    "and": all,
}


def parse(text: str) -> list[Any]:
    """Return the expression in a query; raises InvalidInput where it is none."""
    if len(text) > MAX_CHARS:
        raise InvalidInput(f"Invalid scheduler hint query: at most {MAX_CHARS} characters.")
    try:
        expression = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInput("Invalid scheduler hint query: it is not JSON.") from None
    _check(expression, 1)
    return list(expression)


def holds(expression: Any, node: Candidate) -> bool:
    """Tell whether a parsed expression is true of a node."""
    return bool(_value(expression, node))


def _value(part: Any, node: Candidate) -> Any:
    if isinstance(part, list):
        return _OPERATORS[part[0]]([_value(one, node) for one in part[1:]])
    return FIGURES[part](node) if isinstance(part, str) and part.startswith("$") else part


def _check(part: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidInput(f"Invalid scheduler hint query: it is nested deeper than {MAX_DEPTH}.")
    if not isinstance(part, list) or len(part) < 2 or part[0] not in list(_OPERATORS):
        raise InvalidInput(
            f"Invalid scheduler hint query: an expression begins with one of {' '.join(_OPERATORS)}."
        )
    for one in part[1:]:
        if isinstance(one, list):
            _check(one, depth + 1)
        elif isinstance(one, dict) or (isinstance(one, str) and one.startswith("$") and one not in FIGURES):
            raise InvalidInput(
                f"Invalid scheduler hint query: {str(one)[:64]!r} is none of {' '.join(FIGURES)}."
            )
