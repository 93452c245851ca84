"""How long what is done to a server may take at most, its undo included: the workflows' deadlines.

60 s where the nodes only remember, 180 s where there are guests; more only where much must be carried, or where an
operator gives guests longer to shut down.
"""

from typing import Any

from computecloud.config import CONFIG
from images import transfers
from workers.workflow import UNDO_SHARE

REMEMBERS = CONFIG.driver == "fake"
SHORT_S = 60.0
LONG_S = SHORT_S if REMEMBERS else 180.0
MARGIN_S = 20.0  # what is left of a soft stop's time when its guest is switched off
PATIENCE_S = min(CONFIG.shutdown_timeout_s, 20.0) if REMEMBERS else CONFIG.shutdown_timeout_s
MEMORY_MIB_S = 32.0  # a disk that is slower than this is broken
SHUTDOWN_S = (PATIENCE_S + MARGIN_S) / (1 - UNDO_SHARE)


def memory_s(params: dict[str, Any]) -> float:
    """Return how long suspend and resume may take: a guest's memory is carried to a file, or from it."""
    return LONG_S if REMEMBERS else LONG_S + params["ram_mib"] / MEMORY_MIB_S / (1 - UNDO_SHARE)


def boot_s(params: dict[str, Any]) -> float:
    """Return how long a boot may take: an image that is not in the cache yet has to be fetched."""
    if REMEMBERS and not CONFIG.fake_image_files:
        return LONG_S
    return LONG_S + transfers.by_size_s(params["image"]["size_bytes"]) / (1 - UNDO_SHARE)
