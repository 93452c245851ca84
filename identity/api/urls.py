"""The addresses of the identity API, below /identity/v3/."""

from django.urls import path

from identity.api.catalog import Endpoints, Groups, Regions, Services
from identity.api.projects import Domains, OneDomain, OneProject, Projects
from identity.api.roles import AssignedRole, AssignedRoles, OneRole, RoleAssignments, Roles
from identity.api.tokens import OwnCatalog, OwnDomains, OwnProjects, OwnSystem, Tokens
from identity.api.users import OneUser, UserGroups, UserPassword, UserProjects, Users

urlpatterns = [
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
    path("projects", Projects.as_view()),
    path("projects/<str:project_id>", OneProject.as_view()),
    path("projects/<str:project_id>/users/<str:user_id>/roles", AssignedRoles.as_view()),
    path("projects/<str:project_id>/users/<str:user_id>/roles/<str:role_id>", AssignedRole.as_view()),
    path("domains", Domains.as_view()),
    path("domains/<str:domain_id>", OneDomain.as_view()),
    path("domains/<str:domain_id>/users/<str:user_id>/roles", AssignedRoles.as_view()),
    path("domains/<str:domain_id>/users/<str:user_id>/roles/<str:role_id>", AssignedRole.as_view()),
    path("roles", Roles.as_view()),
    path("roles/<str:role_id>", OneRole.as_view()),
    path("role_assignments", RoleAssignments.as_view()),
    path("services", Services.as_view()),
    path("services/<str:item_id>", Services.as_view()),
    path("endpoints", Endpoints.as_view()),
    path("endpoints/<str:item_id>", Endpoints.as_view()),
    path("regions", Regions.as_view()),
    path("regions/<str:item_id>", Regions.as_view()),
    path("groups", Groups.as_view()),
    path("groups/<str:item_id>", Groups.as_view()),
]
