"""Projects and domains: make, change, delete."""

from collections.abc import Sequence
from typing import Any, TypedDict

from django.db import IntegrityError, transaction

from computecloud.wire.errors import Conflict, Forbidden, InvalidInput, NotFound
from identity import revocation, selectors, sharing
from identity.models import DEFAULT_DOMAIN_ID, Domain, Group, Project, User
from identity.services.writing import checked_extra, merge_extra, store, unique

TAGS_MAX = 80


class ProjectValues(TypedDict, total=False):
    """What a project has; absent keys stay as they are."""

    name: str
    domain_id: str
    parent_id: str | None
    description: str
    enabled: bool
    tags: list[str]
    extra: dict[str, Any]


class DomainValues(TypedDict, total=False):
    """What a domain has; absent keys stay as they are."""

    name: str
    description: str
    enabled: bool
    extra: dict[str, Any]


def create(values: ProjectValues) -> Project:
    """Make a project; raises InvalidInput (unknown domain or parent) and NameTaken."""
    parent_id = values.get("parent_id") or ""
    parent = Project.objects.filter(pk=parent_id).first() if parent_id else None
    domain_id = values.get("domain_id") or (parent.domain_id if parent else parent_id) or DEFAULT_DOMAIN_ID
    if not Domain.objects.filter(pk=domain_id).exists():
        raise InvalidInput(f"There is no domain {domain_id}.")
    if parent_id and parent_id != domain_id and (parent is None or parent.domain_id != domain_id):
        # In the same words: a domain's manager is not told what there is in others.
        raise InvalidInput(f"There is no project {parent_id} in the domain {domain_id} to be the parent.")
    project = Project(
        name=values["name"],
        domain_id=domain_id,
        parent_id=parent_id or domain_id,
        description=values.get("description", ""),
        enabled=values.get("enabled", True),
        tags=values.get("tags", []),
        extra=checked_extra(values.get("extra", {})),
    )
    with unique("project", project.name):
        project.save(force_insert=True)
    return project


def update(project: Project, values: ProjectValues) -> Project:
    """Change a project; raises InvalidInput, NameTaken and NotFound. Disabling voids the tokens scoped to it."""
    if values.get("domain_id", project.domain_id) != project.domain_id:
        raise InvalidInput("A project cannot be moved to another domain.")
    if values.get("parent_id", project.parent_id) != project.parent_id:
        raise InvalidInput("A project cannot be given another parent.")
    was_enabled = project.enabled
    names = [name for name in ("name", "description", "enabled", "tags") if name in values]
    for name in names:
        setattr(project, name, values[name])
    extra = values.get("extra")
    if names or extra:
        with unique("project", project.name):
            store(project, names)
            if extra:
                merge_extra(project, extra)
            if was_enabled and not project.enabled:
                revocation.revoke_project(project.id)
    return project


def change_tags(project: Project, *, add: Sequence[str] = (), remove: str = "") -> None:
    """Add tags or remove one; raises InvalidInput beyond TAGS_MAX, NotFound for a tag that is not there."""
    while True:
        if remove and remove not in project.tags:
            raise no_tag(remove)
        tags = [*dict.fromkeys([*(tag for tag in project.tags if tag != remove), *add])]
        if len(tags) > TAGS_MAX:
            raise InvalidInput(f"A project may have {TAGS_MAX} tags.")
        # By compare-and-set, so that two writers do not lose each other's.
        if Project.objects.filter(pk=project.pk, tags=project.tags).update(tags=tags):
            return
        project = selectors.one(Project, project.id)


def no_tag(tag: str) -> NotFound:
    """Return the refusal of a tag that the project does not have."""
    return NotFound(f"Could not find project tag: {tag[:64]}.")


def delete(project: Project) -> None:
    """Delete the project with its assignments and void the tokens scoped to it; what it owns stays.

    Raises Forbidden while other projects are below it.
    """
    if Project.objects.filter(parent_id=project.id).exists():
        raise Forbidden(
            f"Cannot delete the project {project.id}: there are projects below it. Delete those first."
        )
    with transaction.atomic():
        project_id = project.id
        project.delete()
        sharing.forget_projects([project_id])
        revocation.revoke_project(project_id)


def create_domain(values: DomainValues) -> Domain:
    """Make a domain; raises NameTaken."""
    domain = Domain(
        name=values["name"],
        description=values.get("description", ""),
        enabled=values.get("enabled", True),
        extra=checked_extra(values.get("extra", {})),
    )
    with unique("domain", domain.name):
        domain.save(force_insert=True)
    return domain


def update_domain(domain: Domain, values: DomainValues) -> Domain:
    """Change a domain; raises NameTaken, NotFound and Forbidden. Disabling voids all its tokens."""
    if domain.id == DEFAULT_DOMAIN_ID and not values.get("enabled", True):
        raise Forbidden("The default domain cannot be disabled.")
    was_enabled = domain.enabled
    names = [name for name in ("name", "description", "enabled") if name in values]
    for name in names:
        setattr(domain, name, values[name])
    extra = values.get("extra")
    if names or extra:
        with unique("domain", domain.name):
            store(domain, names)
            if extra:
                merge_extra(domain, extra)
            if was_enabled and not domain.enabled:
                revocation.revoke_domain(domain.id)
    return domain


def delete_domain(domain: Domain) -> None:
    """Delete a disabled domain with its users and projects.

    Raises Forbidden while it is enabled, Conflict where something is being made in it.
    """
    if domain.enabled:
        raise Forbidden(f"Cannot delete the domain {domain.id}: it is enabled. Disable it first.")
    domain_id = domain.id
    try:
        with transaction.atomic():
            User.objects.filter(domain_id=domain_id).delete()
            projects = Project.objects.filter(domain_id=domain_id)
            sharing.forget_projects(projects.values_list("pk", flat=True))
            projects.delete()
            Group.objects.filter(domain_id=domain_id).delete()
            domain.delete()
            revocation.revoke_domain(domain_id)
    except IntegrityError:
        raise Conflict(f"Something is being made in the domain {domain_id}. Try again.") from None
