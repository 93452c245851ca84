"""Mends what doctor finds between image records, their bytes and the hosts' caches."""

from typing import Any

from django.core.management.base import BaseCommand

from images import invariants


class Command(BaseCommand):
    """Releases uploads that died, and removes bytes and cached files that nothing needs."""

    help = __doc__

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Mend, and say how much."""
        self.stdout.write(f"{invariants.mend()} things mended")
