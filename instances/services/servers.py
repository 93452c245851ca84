"""Changing and removing servers: each call begins the transition and accepts the operation in one transaction."""

from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from computecloud.wire.errors import Conflict
from identity.caller import Caller
from instances import transitions
from instances.models import Instance
from instances.states import TaskState, VmState
from workers import secrets
from workers.acceptance import accept
from workers.liveness import is_up
from workers.overtaking import accept_overtaking

log = structlog.get_logger()


class Locked(Conflict):
    """The server is locked and the caller may not pass its lock."""

    def __init__(self, instance: Instance) -> None:
        super().__init__(f"Instance {instance.id} is locked")


class NotReady(Conflict):
    """The server has no host, so nothing can be done to its guest."""

    def __init__(self, instance: Instance) -> None:
        super().__init__(f"Instance {instance.id} is not ready")


def start(caller: Caller, instance: Instance) -> None:
    """Begin to power the server on; raises WrongState, Locked."""
    _begin(caller, instance, action="start", kind="start", params={})


def stop(caller: Caller, instance: Instance) -> None:
    """Begin to shut the server down; raises WrongState, Locked."""
    _begin(caller, instance, action="stop", kind="stop", params={})


def reboot(caller: Caller, instance: Instance, *, hard: bool) -> None:
    """Begin a reboot, by the guest's own hand or by resetting it; raises WrongState, Locked."""
    _begin(caller, instance, action="reboot_hard" if hard else "reboot", kind="reboot", params={"hard": hard})


def start_again(instance: Instance) -> None:
    """Begin to power on, by no user's wish, a server whose guest went down with its machine; raises WrongState."""
    with transaction.atomic():
        _accept(instance, action="start", kind="start", user_id="", params={})


def delete(caller: Caller, instance: Instance) -> None:
    """Begin to remove the server, overtaking whatever is done to it; a second call changes nothing. Raises Locked."""
    refuse_locked(caller, instance)
    with transaction.atomic():
        try:
            transitions.begin("delete", instance.id)
        except transitions.WrongState as refusal:
            if refusal.value in {TaskState.DELETING, VmState.DELETED}:
                return
            raise
        host, node = _place(instance)
        accept_overtaking(
            kind="delete",
            subject=("instance", instance.id),
            project_id=instance.project_id,
            user_id=caller.user_id,
            params=_params(instance, node, host=host),
            # A host that is down is not waited for: what is left there is its clean-up list.
            host=host if host and is_up(host) else None,
        )
    log.info("instance.delete_accepted", instance_id=str(instance.id))


def update(caller: Caller, instance: Instance, **columns: Any) -> Instance:
    """Change the name, description, host name, access addresses or disk configuration; raises Locked."""
    refuse_locked(caller, instance)
    for column, value in columns.items():
        setattr(instance, column, value)
    instance.updated_at = timezone.now()
    instance.save(update_fields=[*columns, "updated_at"])
    return instance


def _begin(caller: Caller, instance: Instance, *, action: str, kind: str, params: dict[str, Any]) -> None:
    refuse_locked(caller, instance)
    with transaction.atomic():
        _accept(instance, action=action, kind=kind, user_id=caller.user_id, params=params)
    log.info("instance.action_accepted", instance_id=str(instance.id), action=action)


def _accept(instance: Instance, *, action: str, kind: str, user_id: str, params: dict[str, Any]) -> None:
    transitions.begin(action, instance.id)
    host, node = _place(instance)
    if host is None:
        raise NotReady(instance)
    accept(
        kind=kind,
        subject=("instance", instance.id),
        project_id=instance.project_id,
        user_id=user_id,
        params=_params(instance, node, **params),
        host=host,
    )


def _params(instance: Instance, node: str | None, **others: Any) -> dict[str, Any]:
    """Return what the steps of an action work from: nothing of it is secret."""
    return {"guest_name": instance.instance_name, "node": node, secrets.FLAG: False, **others}


def _place(instance: Instance) -> tuple[str | None, str | None]:
    """Return host and node as they are now that the state is set and nobody else may change them."""
    return Instance.objects.values_list("host", "node").get(id=instance.id)


def refuse_locked(caller: Caller, instance: Instance) -> None:
    """Raise Locked where the server is locked and the caller is no admin."""
    if instance.locked_by and not caller.is_admin:
        raise Locked(instance)
