"""A hasher that costs tests nothing."""

from typing import Any

from identity.hashers import Argon2idHasher


class CheapHasher(Argon2idHasher):
    """The same, at the least cost that Argon2 allows."""

    time_cost = 1
    memory_cost = 8


class CountingHasher(CheapHasher):
    """Counts how often a password was worked on, in `calls`."""

    calls = 0

    def encode(self, password: str, salt: str) -> str:
        """Count and encode."""
        CountingHasher.calls += 1
        return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> Any:
        """Count and verify."""
        CountingHasher.calls += 1
        return super().verify(password, encoded)
