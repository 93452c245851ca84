"""The Network API's routes, below /network/v2.0."""

from django.urls import path

from networking.api import extras, groups, tags, views
from networking.services import tagging

urlpatterns = [
    path("networks", views.Networks.as_view()),
    path("networks/<str:item_id>", views.Network.as_view()),
    path("subnets", views.Subnets.as_view()),
    path("subnets/<str:item_id>", views.Subnet.as_view()),
    path("ports", views.Ports.as_view()),
    path("ports/<str:item_id>", views.Port.as_view()),
    path("extensions", extras.Extensions.as_view()),
    path("extensions/<str:alias>", extras.Extension.as_view()),
    path("quotas", extras.Quotas.as_view()),
    path("quotas/<str:project_id>", extras.Quota.as_view()),
    *(
        path(f"quotas/<str:project_id>/{part}{form}", extras.Quota.as_view(), {"part": part})
        for part in ("default", "details")
        for form in ("", ".json")
    ),
    path("security-groups", groups.SecurityGroups.as_view()),
    path("security-groups/<str:item_id>", groups.SecurityGroup.as_view()),
    path("security-group-rules", groups.SecurityGroupRules.as_view()),
    path("security-group-rules/<str:item_id>", groups.SecurityGroupRule.as_view()),
    path("rbac-policies", groups.RbacPolicies.as_view()),
    path("rbac-policies/<str:item_id>", groups.RbacPolicy.as_view()),
    *(
        path(f"{plural}/<str:item_id>/tags", tags.TagsOfOne.as_view(), {"plural": plural})
        for plural in tagging.TAGGED
    ),
    *(
        path(f"{plural}/<str:item_id>/tags/<path:tag>", tags.TagOfOne.as_view(), {"plural": plural})
        for plural in tagging.TAGGED
    ),
    path("auto-allocated-topology/<str:project_id>", extras.AutoAllocatedTopology.as_view()),
]
