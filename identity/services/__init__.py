"""Writes of this room, one file a subject."""

from identity.services.bootstrap import bootstrap

__all__ = ["bootstrap"]
