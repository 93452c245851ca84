"""The Network API's routes, below /network/v2.0."""

from django.urls import path, re_path

from networking.api import extras, views

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
    re_path(r"^quotas/(?P<project_id>[^/]+)(/(?P<part>default|details)(\.json)?)?$", extras.Quota.as_view()),
    path("security-groups", extras.SecurityGroups.as_view()),
    path("security-groups/<str:group_id>", extras.SecurityGroup.as_view()),
    path("security-group-rules", extras.SecurityGroupRules.as_view()),
    path("auto-allocated-topology/<str:project_id>", extras.AutoAllocatedTopology.as_view()),
]
