"""States of an image and the one table of what moves it from one to another."""

import enum
from dataclasses import dataclass


class Status(enum.StrEnum):
    """Where an image stands, in Glance's words."""

    QUEUED = "queued"  # a record without bytes
    SAVING = "saving"  # somebody is uploading
    ACTIVE = "active"  # whole, checked, may be booted
    DEACTIVATED = "deactivated"  # whole, but nobody may download or boot it
    DELETED = "deleted"  # the record stays, the bytes are gone


class Visibility(enum.StrEnum):
    """Who sees an image beside its owner and administrators."""

    PUBLIC = "public"  # everybody
    COMMUNITY = "community"  # everybody who asks for it
    SHARED = "shared"  # the projects that are its members
    PRIVATE = "private"


class DiskFormat(enum.StrEnum):
    """What the bytes are."""

    QCOW2 = "qcow2"
    RAW = "raw"
    AMI = "ami"  # a raw disk that is booted by a kernel of its own
    AKI = "aki"  # a kernel
    ARI = "ari"  # a ramdisk


class MemberStatus(enum.StrEnum):
    """What a project said to an image that was shared with it."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Action(enum.StrEnum):
    """What may happen to an image's state."""

    BEGIN_UPLOAD = "begin_upload"
    FINISH_UPLOAD = "finish_upload"
    ABANDON_UPLOAD = "abandon_upload"
    DEACTIVATE = "deactivate"
    REACTIVATE = "reactivate"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Move:
    """From which states an action may start and where it ends."""

    allowed: frozenset[Status]
    done: Status


LIVE = frozenset(Status) - {Status.DELETED}
AMAZON = frozenset({DiskFormat.AMI, DiskFormat.AKI, DiskFormat.ARI})  # disk format and container are the same
PARTS = frozenset({DiskFormat.AKI, DiskFormat.ARI})  # booted with a disk, not as one
WHOLE = frozenset({Status.ACTIVE, Status.DEACTIVATED})  # the bytes are there

MOVES: dict[Action, Move] = {
    Action.BEGIN_UPLOAD: Move(frozenset({Status.QUEUED}), Status.SAVING),
    Action.FINISH_UPLOAD: Move(frozenset({Status.SAVING}), Status.ACTIVE),
    Action.ABANDON_UPLOAD: Move(frozenset({Status.SAVING}), Status.QUEUED),
    Action.DEACTIVATE: Move(WHOLE, Status.DEACTIVATED),
    Action.REACTIVATE: Move(WHOLE, Status.ACTIVE),
    Action.DELETE: Move(LIVE, Status.DELETED),
}
