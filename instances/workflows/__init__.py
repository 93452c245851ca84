"""What can be done to a server, one file an action; each opens with the table of its steps."""

from instances.workflows import create, delete, pause, power, suspend

__all__ = ["create", "delete", "pause", "power", "suspend"]
