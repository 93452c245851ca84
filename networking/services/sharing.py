"""Sharing networks and security groups with a project, or with all, by the Network API's RBAC policies."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from django.db.models import Q

from computecloud.wire.caller import Caller
from computecloud.wire.errors import InvalidInput
from networking import selectors
from networking.errors import (
    DuplicateRbacPolicy,
    NetworkNotFound,
    PolicyNotAuthorized,
    RbacPolicyInUse,
    RbacPolicyNotFound,
    SecurityGroupNotFound,
)
from networking.models import Network, Port, PortGroup, RbacPolicy, SecurityGroup
from networking.services import counting
from networking.services.allocation import until_unique

ALL = "*"
SHARED, EXTERNAL = "access_as_shared", "access_as_external"
ACTIONS = {"network": (SHARED, EXTERNAL), "security_group": (SHARED,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPolicy:
    """What is shared with whom; target: a project's id, or ALL."""

    object_type: str
    object_id: UUID
    action: str
    target: str


def create_policy(new: NewPolicy, *, caller: Caller) -> RbacPolicy:
    """Share a thing of the caller's.

    Raises InvalidInput, PolicyNotAuthorized (ALL and external take an administrator), DuplicateRbacPolicy, OverQuota,
    NetworkNotFound, SecurityGroupNotFound.
    """
    if new.action not in ACTIONS.get(new.object_type, ()):
        raise InvalidInput(
            f"Invalid action '{new.action[:64]}' for object type '{new.object_type[:64]}'. "
            f"Valid actions: {', '.join(ACTIONS.get(new.object_type, ()))}"
        )
    if not caller.is_admin and (new.target == ALL or new.action == EXTERNAL):
        raise PolicyNotAuthorized("create_rbac_policy:target_tenant")
    project_id = _owner(new.object_type, new.object_id, caller)

    def write(_attempt: int) -> RbacPolicy:
        counting.admit(project_id, "rbac_policy")
        same = Q(object_type=new.object_type, object_id=new.object_id, action=new.action, target=new.target)
        if RbacPolicy.objects.filter(same).exists():
            raise DuplicateRbacPolicy
        made = RbacPolicy.objects.create(
            id=uuid4(),
            project_id=project_id,
            object_type=new.object_type,
            object_id=new.object_id,
            action=new.action,
            target=new.target,
        )
        _show(made, shown=True)
        return made

    return until_unique(write)


def update_policy(policy_id: UUID, target: str, *, caller: Caller) -> RbacPolicy:
    """Share with another project instead; raises as create_policy and delete_policy do."""
    policy = _own(policy_id, caller, "update_rbac_policy")
    if target == ALL and not caller.is_admin:
        raise PolicyNotAuthorized("update_rbac_policy:target_tenant")

    def write(_attempt: int) -> None:
        others = RbacPolicy.objects.exclude(pk=policy_id)
        same = Q(object_type=policy.object_type, object_id=policy.object_id, action=policy.action)
        if others.filter(same, target=target).exists():
            raise DuplicateRbacPolicy
        if not RbacPolicy.objects.filter(pk=policy_id).update(target=target):
            raise RbacPolicyNotFound(policy_id)
        _show(policy, shown=False)
        _show(RbacPolicy.objects.get(pk=policy_id), shown=True)
        _refuse_use(policy)

    until_unique(write)
    return selectors.rbac_policy(caller, policy_id)


def delete_policy(policy_id: UUID, *, caller: Caller) -> None:
    """Share no longer; raises RbacPolicyNotFound, PolicyNotAuthorized, RbacPolicyInUse where the other side uses it."""
    policy = _own(policy_id, caller, "delete_rbac_policy")

    def write(_attempt: int) -> None:
        if not RbacPolicy.objects.filter(pk=policy_id).delete()[0]:
            raise RbacPolicyNotFound(policy_id)
        _show(policy, shown=False)
        _refuse_use(policy)

    until_unique(write)


def share_with_all(network: Network, *, flags: dict[str, bool]) -> None:
    """Have policies say what a network's own flags say; call it in the transaction that writes the flags."""
    for key, action in (("shared", SHARED), ("external", EXTERNAL)):
        if key not in flags:
            continue
        values = {"object_type": "network", "object_id": network.pk, "action": action, "target": ALL}
        if flags[key]:
            RbacPolicy.objects.get_or_create(**values, defaults={"project_id": network.project_id})
        else:
            RbacPolicy.objects.filter(**values).delete()


def forget_shares(object_type: str, object_id: UUID) -> None:
    """Remove the policies of a thing that goes."""
    RbacPolicy.objects.filter(object_type=object_type, object_id=object_id).delete()


def _own(policy_id: UUID, caller: Caller, action: str) -> RbacPolicy:
    policy = selectors.rbac_policy(caller, policy_id)
    if not caller.is_admin and policy.project_id != caller.project_id:
        raise PolicyNotAuthorized(action)
    return policy


def _owner(object_type: str, object_id: UUID, caller: Caller) -> str:
    model: type[Network | SecurityGroup] = Network if object_type == "network" else SecurityGroup
    rows = model._default_manager.filter(pk=object_id)
    owner = (rows if caller.is_admin else rows.filter(project_id=caller.project_id)).first()
    if owner is None:
        raise NetworkNotFound(object_id) if object_type == "network" else SecurityGroupNotFound(object_id)
    return owner.project_id


def _show(policy: RbacPolicy, *, shown: bool) -> None:
    """Keep the network's own flags, which its lists read, as the policies for all say."""
    if policy.object_type == "network" and policy.target == ALL:
        flag = "shared" if policy.action == SHARED else "external"
        Network.objects.filter(pk=policy.object_id).update(**{flag: shown})


def _refuse_use(policy: RbacPolicy) -> None:
    """Raise RbacPolicyInUse where somebody has what only the policy that is gone gave him."""
    if policy.action != SHARED:
        return
    if policy.object_type == "network":
        users = Port.objects.filter(network=policy.object_id).exclude(device_owner="network:dhcp")
    else:
        members = PortGroup.objects.filter(group=policy.object_id)
        users = Port.objects.filter(pk__in=members.values("port"))
    strangers = users.exclude(project_id=policy.project_id)
    if policy.target != ALL:
        strangers = strangers.filter(project_id=policy.target)
    left = RbacPolicy.objects.filter(
        object_type=policy.object_type, object_id=policy.object_id, action=SHARED
    ).values_list("target", flat=True)
    if ALL not in left and strangers.exclude(project_id__in=list(left)).exists():
        raise RbacPolicyInUse(policy.object_id, "There are ports of other projects that use it.")
