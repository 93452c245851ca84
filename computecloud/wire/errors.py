"""The families of errors that a caller can meet; wire.faults maps each to a status and a fault body.

A room subclasses a family beside the code that raises it and gives the message in words that say what to do next.
"""

from collections.abc import Mapping


class CloudError(Exception):
    """Base of every error whose message may be shown to the caller."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidInput(CloudError):
    """The request cannot be right in any state (400).

    `fields`: what is wrong with which part of the body, by its dotted path; empty where that is not known.
    """

    def __init__(self, message: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields: Mapping[str, str] = fields or {}


class Unauthenticated(CloudError):
    """Nobody, or nobody we know, is asking (401)."""


class Forbidden(CloudError):
    """The caller is known and may not do this (403)."""


class QuotaExceeded(Forbidden):
    """The project has no room left for this (403)."""


class NotFound(CloudError):
    """There is no such thing, or not for this caller (404)."""


class Conflict(CloudError):
    """The thing's present state does not allow this (409)."""


class TooLarge(CloudError):
    """The body is larger than this service takes (413)."""


class UnsupportedMediaType(CloudError):
    """The body is of a kind that this service does not read (415)."""


class TooManyRequests(CloudError):
    """The caller must slow down (429); retry_after_s says for how long."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotImplementedHere(CloudError):
    """The driver or room in use cannot do this (501)."""


class Unavailable(CloudError):
    """Something this needs is down at the moment (503)."""
