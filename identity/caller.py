"""Who is asking; the type lives with what every API shares."""

from computecloud.wire.caller import Caller

__all__ = ["Caller"]
