"""Addresses of the Compute API, below the service's root."""

from django.urls import URLPattern, path

from instances.api import (
    actions,
    flavors,
    hypervisors,
    instance_actions,
    keypairs,
    operators,
    server_parts,
    servers,
)

urlpatterns: list[URLPattern] = [
    path("servers", servers.ServersView.as_view()),
    path("servers/detail", servers.ServersDetailView.as_view()),
    path("servers/<str:server_id>", servers.ServerView.as_view()),
    path("servers/<str:server_id>/action", actions.ActionView.as_view()),
    path("servers/<str:server_id>/ips", server_parts.IpsView.as_view()),
    path("servers/<str:server_id>/ips/<str:network>", server_parts.IpsOfNetworkView.as_view()),
    path("servers/<str:server_id>/metadata", server_parts.MetadataView.as_view()),
    path("servers/<str:server_id>/metadata/<str:key>", server_parts.MetaView.as_view()),
    path("servers/<str:server_id>/os-security-groups", server_parts.SecurityGroupsView.as_view()),
    path("servers/<str:server_id>/os-instance-actions", instance_actions.InstanceActionsView.as_view()),
    path(
        "servers/<str:server_id>/os-instance-actions/<str:request_id>",
        instance_actions.InstanceActionView.as_view(),
    ),
    path("flavors", flavors.FlavorsView.as_view()),
    path("flavors/detail", flavors.FlavorsDetailView.as_view()),
    path("flavors/<str:flavor_id>", flavors.FlavorView.as_view()),
    path("flavors/<str:flavor_id>/action", flavors.FlavorActionView.as_view()),
    path("flavors/<str:flavor_id>/os-flavor-access", flavors.FlavorAccessView.as_view()),
    path("flavors/<str:flavor_id>/os-extra_specs", flavors.ExtraSpecsView.as_view()),
    path("flavors/<str:flavor_id>/os-extra_specs/<str:key>", flavors.ExtraSpecView.as_view()),
    path("os-keypairs", keypairs.KeypairsView.as_view()),
    path("os-keypairs/<str:name>", keypairs.KeypairView.as_view()),
    path("os-services", operators.ServicesView.as_view()),
    path("os-hypervisors", hypervisors.HypervisorsView.as_view()),
    path("os-hypervisors/detail", hypervisors.HypervisorsDetailView.as_view()),
    path("os-hypervisors/<str:hypervisor_id>", hypervisors.HypervisorView.as_view()),
    path("os-availability-zone", operators.ZonesView.as_view()),
    path("os-availability-zone/detail", operators.ZonesDetailView.as_view()),
    path("os-aggregates", operators.AggregatesView.as_view()),
    path("limits", operators.LimitsView.as_view()),
    path("extensions", operators.ExtensionsView.as_view()),
    path("extensions/<str:alias>", operators.ExtensionView.as_view()),
]
