"""The addresses of the identity API, below /identity/v3/."""

from django.urls import path

from identity.api.assignments import AssignedRole, AssignedRoles, RoleAssignments
from identity.api.catalog import Endpoints, Regions, Services
from identity.api.credentials import AccessRules, Credentials, OneAccessRule, OneCredential
from identity.api.groups import Groups, GroupUser, GroupUsers, OneGroup
from identity.api.projects import Domains, OneDomain, OneProject, Projects, ProjectTag, ProjectTags
from identity.api.roles import ImpliedOne, ImpliedRoles, OneRole, RoleInferences, Roles
from identity.api.tokens import OwnCatalog, OwnDomains, OwnProjects, OwnSystem, Tokens
from identity.api.users import OneUser, UserGroups, UserPassword, UserProjects, Users

SCOPES = ("projects/<str:project_id>", "domains/<str:domain_id>", "system")
HOLDERS = ("users/<str:user_id>", "groups/<str:group_id>")
_ASSIGNED = [f"{scope}/{holder}/roles" for scope in SCOPES for holder in HOLDERS]

urlpatterns = [
    *(path(address, AssignedRoles.as_view()) for address in _ASSIGNED),
    *(path(f"{address}/<str:role_id>", AssignedRole.as_view()) for address in _ASSIGNED),
    path("groups", Groups.as_view()),
    path("groups/<str:group_id>", OneGroup.as_view()),
    path("groups/<str:group_id>/users", GroupUsers.as_view()),
    path("groups/<str:group_id>/users/<str:user_id>", GroupUser.as_view()),
    path("auth/tokens", Tokens.as_view()),
    path("auth/projects", OwnProjects.as_view()),
    path("auth/domains", OwnDomains.as_view()),
    path("auth/system", OwnSystem.as_view()),
    path("auth/catalog", OwnCatalog.as_view()),
    path("users", Users.as_view()),
    path("users/<str:user_id>", OneUser.as_view()),
    path("users/<str:user_id>/password", UserPassword.as_view()),
    path("users/<str:user_id>/projects", UserProjects.as_view()),
    path("users/<str:user_id>/groups", UserGroups.as_view()),
    path("users/<str:user_id>/application_credentials", Credentials.as_view()),
    path("users/<str:user_id>/application_credentials/<str:credential_id>", OneCredential.as_view()),
    path("users/<str:user_id>/access_rules", AccessRules.as_view()),
    path("users/<str:user_id>/access_rules/<str:rule_id>", OneAccessRule.as_view()),
    path("projects", Projects.as_view()),
    path("projects/<str:project_id>", OneProject.as_view()),
    path("projects/<str:project_id>/tags", ProjectTags.as_view()),
    path("projects/<str:project_id>/tags/<str:tag>", ProjectTag.as_view()),
    path("domains", Domains.as_view()),
    path("domains/<str:domain_id>", OneDomain.as_view()),
    path("roles", Roles.as_view()),
    path("roles/<str:role_id>", OneRole.as_view()),
    path("roles/<str:role_id>/implies", ImpliedRoles.as_view()),
    path("roles/<str:role_id>/implies/<str:implied_id>", ImpliedOne.as_view()),
    path("role_inferences", RoleInferences.as_view()),
    path("role_assignments", RoleAssignments.as_view()),
    path("services", Services.as_view()),
    path("services/<str:item_id>", Services.as_view()),
    path("endpoints", Endpoints.as_view()),
    path("endpoints/<str:item_id>", Endpoints.as_view()),
    path("regions", Regions.as_view()),
    path("regions/<str:item_id>", Regions.as_view()),
]
