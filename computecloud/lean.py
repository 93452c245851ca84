"""Keeps out of the server processes what other libraries import only because it is installed: 10 MiB here, 5 there.

structlog takes rich for pretty tracebacks (our logs are JSON), Django REST framework takes requests for a test client,
pygments for pages of its own and, with psycopg, Django's PostgreSQL fields; kombu takes yaml as one more form of data.
The command line, which draws with rich, does not call this.
"""

import sys

from computecloud.config import CONFIG


def keep_out() -> None:
    """Have the imports of what we do not use fail, before anything is imported; their users then do without."""
    unused = ["rich", "requests", "pygments", "yaml"]
    if not CONFIG.database_url:
        unused.append("psycopg")
    for name in unused:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
