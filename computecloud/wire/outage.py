"""The database does not answer: which errors say so."""

from django.db import DatabaseError, InterfaceError, OperationalError

# PostgreSQL's idle_in_transaction_session_timeout, which Django takes for an internal error
SESSION_ENDED = "25P03"


def is_outage(error: BaseException) -> bool:
    """Tell whether an error says that the database could not be reached, was too busy, or has ended the session."""
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return isinstance(error, DatabaseError) and getattr(error.__cause__, "sqlstate", "") == SESSION_ENDED
