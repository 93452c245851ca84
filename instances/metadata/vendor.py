"""Vendor data: one JSON document of the operator's, in a file that a setting names, for every guest."""

from functools import cache
from pathlib import Path
from typing import Any

import orjson
import structlog

from computecloud.config import CONFIG

log = structlog.get_logger()


def data() -> dict[str, Any]:
    """Return the document; empty where there is none, or where the file holds no JSON object, which is logged."""
    return read(CONFIG.vendor_data_file)


@cache
def read(path: str) -> dict[str, Any]:
    """Return what a file holds, once a process."""
    if not path:
        return {}
    try:
        found = orjson.loads(Path(path).read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        log.warning("vendor_data.unreadable", path=path, error=str(error))
        return {}
    if not isinstance(found, dict):
        log.warning("vendor_data.unreadable", path=path, error="it is no JSON object")
        return {}
    return found
