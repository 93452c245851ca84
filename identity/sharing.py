"""Sharing a thing with projects: django-guardian's object permissions, held by each project's own group.

A room that shares things of a kind declares the table beside their model, so that a join finds them by an index:

    class FlavorSharing(Sharing):
        content_object = models.ForeignKey(Flavor, on_delete=models.CASCADE, related_name="sharings")

guardian finds that table by itself, so its own calls (`assign_perm`, `get_groups_with_perms`) see the same rows. Such a
table may have columns of its own, as what a project answered to an offer.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Model, QuerySet
from guardian.models import GroupObjectPermissionBase

_PREFIX = "project:"


class Sharing(GroupObjectPermissionBase):
    """One thing that one project may use; `content_object` is the thing, `group` stands for the project."""

    class Meta(GroupObjectPermissionBase.Meta):
        abstract = True

    @property
    def project_id(self) -> str:
        """Return the project; needs the group's row."""
        return str(self.group.name.removeprefix(_PREFIX))


def share(thing: Model, project_id: str, **columns: Any) -> bool:
    """Let a project use the thing; tells whether it could not before.

    `columns`: values of the table's own columns for a new row. Nobody asks whether there is such a project.
    """
    model = type(thing)
    permission = Permission.objects.get(
        content_type=ContentType.objects.get_for_model(model), codename=_codename(model)
    )
    with transaction.atomic():
        group, _ = Group.objects.get_or_create(name=_PREFIX + project_id)
        return bool(
            _table(model).objects.get_or_create(
                group=group, permission=permission, content_object=thing, defaults=columns
            )[1]
        )


def unshare(thing: Model, project_id: str) -> bool:
    """Take the use of the thing from a project; tells whether it had it."""
    return bool(sharings(thing).filter(group_id__in=_group(project_id)).delete()[0])


def is_shared_with(thing: Model, project_id: str | None) -> bool:
    """Tell whether a project may use the thing; no project may not. One query."""
    return project_id is not None and sharings(thing).filter(group_id__in=_group(project_id)).exists()


def projects_of(thing: Model) -> list[str]:
    """Return the ids of the projects that the thing is shared with, in their order. One query."""
    names = sharings(thing).order_by("group__name").values_list("group__name", flat=True)
    return [name.removeprefix(_PREFIX) for name in names]


def sharings(thing: Model) -> QuerySet[Any]:
    """Return the thing's rows, with what a table has in columns of its own."""
    return _rows(type(thing)).filter(content_object=thing).select_related("group")


def shared_with(project_id: str | None, model: type[Model]) -> QuerySet[Any]:
    """Return the keys of all things of a kind that are shared with a project, to be used as `pk__in`: no query."""
    return _rows(model).filter(group_id__in=_group(project_id or "")).values("content_object_id")


def forget_projects(project_ids: Iterable[str]) -> None:
    """Take everything that is shared with these projects from them: they are being deleted."""
    Group.objects.filter(name__in=[_PREFIX + project_id for project_id in project_ids]).delete()


def other_groups() -> QuerySet[Group]:
    """Return Django's groups that stand for no project: those of the admin pages."""
    return Group.objects.exclude(name__startswith=_PREFIX).order_by("name")


def _rows(model: type[Model]) -> QuerySet[Any]:
    """Return a kind's rows; subqueries instead of joins, so that both databases go by the table's own index."""
    permissions = Permission.objects.filter(codename=_codename(model)).values("pk")
    rows: QuerySet[Any] = _table(model).objects.filter(permission_id__in=permissions)
    return rows


def _group(project_id: str) -> QuerySet[Any]:
    return Group.objects.filter(name=_PREFIX + project_id).values("pk")


@cache
def _table(model: type[Model]) -> Any:
    """Return where a kind of thing keeps its sharings; raises TypeError where its room declared none."""
    for table in Sharing.__subclasses__():
        things = {field.name: field.related_model for field in table._meta.fields}
        if things["content_object"] is model:
            return table
    raise TypeError(f"no Sharing is declared for {model.__name__}")


def _codename(model: type[Model]) -> str:
    return f"view_{model._meta.model_name}"
