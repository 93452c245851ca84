"""A delete: remove all that the server has left on its host, then give back what it held. It is never undone."""

from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

import networking.services
import quotas.services
from computecloud.wire.errors import Unavailable
from instances import transitions
from instances.workflows import deadlines
from networking import wiring
from scheduling import claims, groups
from workers import audits, footprints
from workers.driver import driver
from workers.models import Footprint, Host
from workers.workflow import CONTROL, Context, HostDies, Step, Workflow, register


def clear_host(ctx: Context) -> None:
    """Remove guest, disks and wiring from this host, whatever is there of them."""
    node = ctx.params["node"]
    if node:
        driver().destroy(node, ctx.subject_id, ctx.epoch)
        driver().remove_disks(node, ctx.subject_id, ctx.epoch)
    wiring.disconnect(networking.services.facts_of(ctx.subject_id))


def forget_footprints(ctx: Context, _: dict[str, Any]) -> None:
    """The host holds nothing of the server any more."""
    footprints.forget(ctx.subject_id, host=str(ctx.host))


def give_back(ctx: Context, _: dict[str, Any]) -> None:
    """Delete the server's own ports, and release its claim and its charge."""
    networking.services.unbind(ctx.subject_id)
    claims.release(ctx.subject_id)
    quotas.services.release(ctx.subject_id)
    groups.leave(ctx.subject_id)
    if ctx.host is None:  # it was down when this delete was accepted, or when it was given up on
        transaction.on_commit(partial(_tell_hosts, ctx.subject_id), robust=True)


def _tell_hosts(instance_id: UUID) -> None:
    """Have the hosts that keep something of the server, and are back by now, look for it; one that is down will."""
    keep = Footprint.objects.filter(subject_id=instance_id).exclude(host="").values("host")
    for host in Host.objects.filter(name__in=keep, alive=True, forced_down=False):
        with suppress(Unavailable):
            audits.ask("guests", by="a delete without its host", host=host.name)


def write_deleted(ctx: Context) -> None:
    """The server is gone."""
    transitions.done("delete", ctx.subject_id)


def write_failed(ctx: Context) -> None:
    """The delete did not end in time: the server shows why, and may be deleted again."""
    transitions.failed("delete", ctx.subject_id, {"code": 500, "message": ctx.error})


DELETE = register(
    Workflow(
        kind="delete",
        keeps_trying=True,
        ends_subject=True,
        host_dies=HostDies.LEAVE,
        deadline_s=deadlines.LONG_S,
        done=write_deleted,
        undone=write_failed,
        steps=(
            Step(
                name="clear", do=clear_host, record=forget_footprints, no_undo="what is deleted stays deleted"
            ),
            Step(name="release", record=give_back, no_undo="what is deleted stays deleted", on=CONTROL),
        ),
    )
)
