"""The heart of what is to happen again and again: noted by who does it, asked for by who watches."""

from workers import clock
from workers.models import Pulse, utc_now

BEAT = "beat"  # beat rings, and a control worker hears it
BEAT_SILENT_S = 45.0  # it rings for what notes its heart every 10 s
RESTORED = "restored"  # a backup was brought back, and what runs since it was taken is not dealt with yet


def note(name: str) -> None:
    """Note that it happened now."""
    heard = Pulse(name=name, at=utc_now())
    Pulse.objects.bulk_create([heard], update_conflicts=True, unique_fields=["name"], update_fields=["at"])


def age_s(name: str) -> float | None:
    """Return how long ago it happened last; None where it never did."""
    found = Pulse.objects.filter(name=name).first()
    return None if found is None else max(clock.now() - found.at.timestamp(), 0.0)


def forget(name: str) -> None:
    """Forget that it ever happened."""
    Pulse.objects.filter(name=name).delete()
