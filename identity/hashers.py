"""How passwords are kept: Argon2id, tuned to about 50 ms and 16 MiB on one core."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2idHasher(Argon2PasswordHasher):
    """Django's Argon2id with costs that one web server can bear; raising them rehashes at the next log-in."""

    time_cost = 6
    memory_cost = 16_384  # KiB
    parallelism = 1
