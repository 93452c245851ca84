"""How much one guest, and all together, may ask of the service."""

from dataclasses import dataclass
from uuid import UUID

CONNECTIONS_MAX = 512
CONNECTIONS_OF_GUEST_MAX = 8
BURST, EACH_S = 120, 20  # requests of a guest at once, and in each second after that; a boot makes some forty

Guest = tuple[UUID, str]  # network and address


@dataclass(slots=True)
class _Use:
    connections: int
    left: float
    at_s: float


class Limits:
    """Connections and requests of each guest; moments are of the monotonic clock, and are passed in."""

    def __init__(self) -> None:
        self._by_guest: dict[Guest, _Use] = {}
        self.connections = 0

    def connect(self, guest: Guest, now_s: float) -> bool:
        """Count a connection; False where it is one too many, and then it is not counted."""
        use = self._by_guest.get(guest)
        held = use.connections if use else 0
        if self.connections >= CONNECTIONS_MAX or held >= CONNECTIONS_OF_GUEST_MAX:
            return False
        if use is None:
            self._by_guest[guest] = use = _Use(0, BURST, now_s)
        use.connections += 1
        self.connections += 1
        return True

    def ask(self, guest: Guest, now_s: float) -> bool:
        """Count a request of a guest that is connected; False where it is to wait."""
        use = self._by_guest[guest]
        use.left = min(BURST, use.left + (now_s - use.at_s) * EACH_S)
        use.at_s = now_s
        if use.left < 1:
            return False
        use.left -= 1
        return True

    def disconnect(self, guest: Guest, now_s: float) -> None:
        """Count a connection's end; who has not asked for a while is forgotten."""
        self.connections -= 1
        self._by_guest[guest].connections -= 1
        idle = [
            known
            for known, use in self._by_guest.items()
            if not use.connections and use.left + (now_s - use.at_s) * EACH_S >= BURST
        ]
        for known in idle:
            del self._by_guest[known]
