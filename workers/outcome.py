"""What running a link comes to."""

import enum


class Outcome(enum.Enum):
    """What a link's caller must do now."""

    STOP = "stop"  # nothing was to be done, or nothing more is to be said
    NEXT = "next"  # the chain goes on; at its end, what follows must be published
    PUBLISH = "publish"  # the chain is void: what follows must be published
    ENDED = "ended"  # the operation has ended: another tenant's turn
    OVERTAKEN = "overtaken"  # another operation took the subject, and may wait for this step's end


class Overtaken(Exception):
    """The operation was overtaken or cancelled while its step ran; what the step wrote is rolled back."""
