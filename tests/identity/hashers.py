"""A hasher that costs tests nothing."""

from identity.hashers import Argon2idHasher


class CheapHasher(Argon2idHasher):
    """The same, at the least cost that Argon2 allows."""

    time_cost = 1
    memory_cost = 8
