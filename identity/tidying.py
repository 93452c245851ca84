"""What beat removes of this room: rows that can mean nothing any more."""

import structlog

from identity import revocation, signing, throttle

log = structlog.get_logger()


def tidy() -> None:
    """Delete revocations of expired tokens, signing keys of expired tokens, and old failed log-ins."""
    gone = {
        "revocations": revocation.delete_expired(),
        "signing_keys": signing.delete_expired(),
        "login_failures": throttle.delete_expired(),
    }
    if any(gone.values()):
        log.info("identity.tidied", **gone)
