"""Every difference between versions 2.1 and 2.104 of the Compute API that this room serves."""

from collections.abc import Iterator
from typing import Any

from computecloud.wire.changes import Answer, Behaviour, Changes, Field, Request, Route, fields
from computecloud.wire.services import COMPUTE
from instances.api import bodies, operator_bodies, queries, server_bodies, server_group_bodies

EXTENDED = "extended_attributes"  # flag: the caller may see where and how a server runs
HOST_STATUS = "host_status"  # flag: the caller may see how its host fares

_SERVER = ("detail", "show", "update")


def _full(keys: str, since: str = "", **common: Any) -> Iterator[Field]:
    """Declare keys of the full view, which answers to PUT have only since 2.75."""
    later = since if since and int(since.partition(".")[2]) > 75 else "2.75"
    yield from fields("server", keys, views=("detail", "show"), since=since, **common)
    yield from fields("server", keys, views=("update",), since=later, **common)


SERVER = (
    *fields("server", "id name links"),
    *fields("server", "status tenant_id user_id metadata hostId", views=_SERVER),
    Field("server", "image", views=_SERVER, source="image_link", until="2.97"),
    Field("server", "image", views=_SERVER, since="2.98"),
    Field("server", "flavor", views=_SERVER, source="flavor_link", until="2.46"),
    Field("server", "flavor", views=_SERVER, since="2.47"),
    *fields("server", "created updated addresses accessIPv4 accessIPv6 OS-DCF:diskConfig", views=_SERVER),
    *fields("server", "progress fault", views=_SERVER, optional=True),
    *_full("key_name config_drive OS-EXT-AZ:availability_zone"),
    *_full("security_groups", optional=True),
    *_full("OS-EXT-STS:power_state OS-EXT-STS:task_state OS-EXT-STS:vm_state"),
    *_full("OS-SRV-USG:launched_at OS-SRV-USG:terminated_at"),
    Field(
        "server",
        "os-extended-volumes:volumes_attached",
        views=("detail", "show"),
        source="volume_ids",
        until="2.2",
    ),
    *_full("os-extended-volumes:volumes_attached", since="2.3", source="volumes"),
    *_full("OS-EXT-SRV-ATTR:host OS-EXT-SRV-ATTR:hypervisor_hostname", policy=EXTENDED),
    *_full("OS-EXT-SRV-ATTR:instance_name", policy=EXTENDED),
    *_full("OS-EXT-SRV-ATTR:hostname", since="2.3", until="2.89", policy=EXTENDED),
    *_full("OS-EXT-SRV-ATTR:hostname", since="2.90"),
    *_full("OS-EXT-SRV-ATTR:kernel_id OS-EXT-SRV-ATTR:ramdisk_id", since="2.3", policy=EXTENDED),
    *_full("OS-EXT-SRV-ATTR:launch_index OS-EXT-SRV-ATTR:reservation_id", since="2.3", policy=EXTENDED),
    *_full("OS-EXT-SRV-ATTR:root_device_name OS-EXT-SRV-ATTR:user_data", since="2.3", policy=EXTENDED),
    Field("server", "locked", views=_SERVER, since="2.9"),
    *_full("host_status", since="2.16", policy=HOST_STATUS),
    Field("server", "description", views=_SERVER, since="2.19"),
    Field("server", "tags", views=_SERVER, since="2.26"),
    Field("server", "trusted_image_certificates", views=_SERVER, since="2.63"),
    Field("server", "server_groups", views=("show", "update"), since="2.71"),
    Field("server", "locked_reason", views=_SERVER, since="2.73"),
    Field("server", "pinned_availability_zone", views=_SERVER, since="2.96"),
    Field("server", "scheduler_hints", views=_SERVER, since="2.100"),
)

FLAVOR = (
    *fields("flavor", "id name links"),
    *fields(
        "flavor", "ram disk vcpus OS-FLV-EXT-DATA:ephemeral os-flavor-access:is_public", views=("detail",)
    ),
    Field("flavor", "swap", views=("detail",), source="swap_or_empty", until="2.74"),
    Field("flavor", "swap", views=("detail",), since="2.75"),
    *fields("flavor", "rxtx_factor OS-FLV-DISABLED:disabled", views=("detail",), until="2.101"),
    Field("flavor", "description", since="2.55"),
    Field("flavor", "extra_specs", views=("detail",), since="2.61"),
)

KEYPAIR = (
    *fields("keypair", "name public_key fingerprint"),
    Field("keypair", "type", since="2.2"),
    Field("keypair", "user_id", views=("show", "create")),
    *fields("keypair", "id created_at deleted deleted_at updated_at", views=("show",)),
    Field("keypair", "private_key", views=("create",), optional=True, until="2.91"),
)

ACTION = (
    *fields("action", "action instance_uuid message project_id request_id start_time user_id"),
    Field("action", "updated_at", since="2.58"),
    Field("action", "events", views=("show",), until="2.50", policy="events"),
    Field("action", "events", views=("show",), since="2.51"),
    *fields("event", "event start_time finish_time result"),
    Field("event", "traceback", policy="events"),
    Field("event", "hostId", since="2.62"),
    Field("event", "host", since="2.62", policy="events"),
    Field("event", "details", since="2.84", policy="details"),
)

_STATE = ("brief", "detail")
HYPERVISOR = (
    Field("hypervisor", "id", source="number", until="2.52"),
    Field("hypervisor", "id", since="2.53"),
    *fields("hypervisor", "hypervisor_hostname state status"),
    *fields(
        "hypervisor", "host_ip hypervisor_type hypervisor_version disk_available_least", views=("detail",)
    ),
    Field("hypervisor", "service", views=("detail",), source="service_by_number", until="2.52"),
    Field("hypervisor", "service", views=("detail",), since="2.53"),
    Field("hypervisor", "cpu_info", views=("detail",), source="cpu_info_text", until="2.27"),
    Field("hypervisor", "cpu_info", views=("detail",), since="2.28", until="2.87"),
    *fields(
        "hypervisor",
        "current_workload free_disk_gb free_ram_mb local_gb local_gb_used memory_mb memory_mb_used running_vms "
        "vcpus vcpus_used",
        views=("detail",),
        until="2.87",
    ),
    Field("hypervisor", "servers", views=("servers",), optional=True, until="2.52"),
    Field("hypervisor", "servers", optional=True, since="2.53"),
    Field("hypervisor", "uptime", views=("uptime",), until="2.87"),
    Field("hypervisor", "uptime", views=("detail",), since="2.88"),
    *fields(
        "statistics",
        "count current_workload disk_available_least free_disk_gb free_ram_mb local_gb local_gb_used memory_mb "
        "memory_mb_used running_vms vcpus vcpus_used",
    ),
)

SERVICE = (
    Field("service", "id", source="number", until="2.52"),
    Field("service", "id", since="2.53"),
    *fields("service", "binary disabled_reason host state status updated_at zone"),
    Field("service", "forced_down", since="2.11"),
)

SERVER_GROUP = (
    *fields("server_group", "id name members"),
    *fields("server_group", "metadata policies", until="2.63"),
    *fields("server_group", "project_id user_id", since="2.13"),
    *fields("server_group", "policy rules", since="2.64"),
)

_SHARED_LIMITS = (
    "maxServerMeta maxServerGroups maxServerGroupMembers maxTotalCores maxTotalInstances maxTotalKeypairs "
    "maxTotalRAMSize totalCoresUsed totalInstancesUsed totalRAMUsed totalServerGroupsUsed"
)
LIMITS = (
    *fields("limits", _SHARED_LIMITS),
    *fields("limits", "maxSecurityGroups maxSecurityGroupRules maxTotalFloatingIps", until="2.35"),
    *fields("limits", "totalFloatingIpsUsed totalSecurityGroupsUsed", until="2.35"),
    Field("limits", "maxImageMeta", until="2.38"),
    *fields("limits", "maxPersonality maxPersonalitySize", until="2.56"),
)

_QUOTAS = "instances cores ram key_pairs metadata_items"
_OF_GROUPS = "server_groups server_group_members"
_OF_FILES = "injected_files injected_file_content_bytes injected_file_path_bytes"
_OF_NETWORKS = "floating_ips fixed_ips security_groups security_group_rules"
QUOTAS = (
    Field("quota_set", "id", views=("show",)),
    *fields("quota_set", f"{_QUOTAS} {_OF_GROUPS}"),
    *fields("quota_set", _OF_FILES, until="2.56"),
    *fields("quota_set", _OF_NETWORKS, until="2.35"),
    Field("quota_class", "id", views=("show",)),
    *fields("quota_class", _QUOTAS),
    *fields("quota_class", _OF_GROUPS, since="2.50"),
    *fields("quota_class", _OF_FILES, until="2.56"),
    *fields("quota_class", _OF_NETWORKS, until="2.49"),
)
QUOTA_REQUESTS = (
    *(Request(operator_bodies.UpdateQuotaSet, key, until="2.56") for key in _OF_FILES.split()),
    *(Request(operator_bodies.UpdateQuotaSet, key, until="2.35") for key in _OF_NETWORKS.split()),
    *(Request(operator_bodies.UpdateQuotaClass, key, until="2.56") for key in _OF_FILES.split()),
    *(Request(operator_bodies.UpdateQuotaClass, key, until="2.49") for key in _OF_NETWORKS.split()),
    Request(queries.QuotaSetQuery, "*", until="2.74"),
)

_Create, _Update, _Network = server_bodies.CreateServer, server_bodies.UpdateServer, server_bodies.Network
_Servers = queries.ServersQuery

SERVER_REQUESTS = (
    Request(_Create, "networks", required_since="2.37"),
    Request(_Create, "personality", until="2.56"),
    Request(_Create, "description", since="2.19"),
    Request(_Create, "tags", since="2.52"),
    Request(_Create, "trusted_image_certificates", since="2.63"),
    Request(_Create, "host", since="2.74"),
    Request(_Create, "hypervisor_hostname", since="2.74"),
    Request(_Create, "hostname", since="2.90"),
    Request(_Network, "tag", since="2.32"),
    Request(server_bodies.BlockDevice, "tag", since="2.32", until="2.32"),
    Request(server_bodies.BlockDevice, "tag", since="2.42"),
    Request(server_bodies.BlockDevice, "volume_type", since="2.67"),
    Request(_Update, "description", since="2.19"),
    Request(_Update, "hostname", since="2.90"),
    Request(_Update, "pinned_availability_zone", since="2.104"),
)
SERVER_QUERIES = (
    Request(_Servers, "*", until="2.74"),
    Request(_Servers, "ip6", since="2.1"),
    *(Request(_Servers, key, since="2.26") for key in ("tags", "tags-any", "not-tags", "not-tags-any")),
    Request(_Servers, "changes-before", since="2.66"),
    Request(_Servers, "locked", since="2.73"),
)
OTHER_REQUESTS = (
    Request(server_group_bodies.CreateServerGroup, "policies", until="2.63", required_since="2.1"),
    Request(server_group_bodies.CreateServerGroup, "policy", since="2.64", required_since="2.64"),
    Request(server_group_bodies.CreateServerGroup, "rules", since="2.64"),
    Request(server_group_bodies.ServerGroupsQuery, "*", until="2.74"),
    Request(bodies.CreateFlavor, "description", since="2.55"),
    Request(bodies.CreateFlavor, "rxtx_factor", until="2.101"),
    Request(bodies.CreateKeypair, "type", since="2.2"),
    Request(bodies.CreateKeypair, "user_id", since="2.10"),
    Request(bodies.CreateKeypair, "public_key", required_since="2.92"),
    Request(queries.FlavorsQuery, "*", until="2.74"),
    Request(queries.FlavorsQuery, "name", since="2.102"),
    Request(queries.KeypairsQuery, "*", until="2.74"),
    Request(queries.KeypairsQuery, "user_id", since="2.10"),
    Request(queries.KeypairsQuery, "limit", since="2.35"),
    Request(queries.KeypairsQuery, "marker", since="2.35"),
    Request(queries.KeypairQuery, "*", until="2.74"),
    Request(queries.KeypairQuery, "user_id", since="2.10"),
    Request(queries.ActionsQuery, "*", until="2.57"),
    *(Request(queries.ActionsQuery, key, since="2.58") for key in ("limit", "marker", "changes-since")),
    Request(queries.ActionsQuery, "changes-before", since="2.66"),
    Request(queries.HypervisorsQuery, "*", until="2.52"),
    *(Request(queries.HypervisorsQuery, key, since="2.33") for key in ("limit", "marker")),
    Request(queries.HypervisorsQuery, "hypervisor_hostname_pattern", since="2.53"),
    Request(queries.HypervisorsQuery, "with_servers", since="2.53"),
    Request(queries.HypervisorQuery, "*", until="2.52"),
    Request(queries.HypervisorQuery, "with_servers", since="2.53"),
    Request(queries.ServicesQuery, "*", until="2.74"),
    Request(queries.SecurityGroupsQuery, "*", until="2.35"),
    Request(queries.ImagesQuery, "*", until="2.35"),
    Request(queries.HostsQuery, "*", until="2.42"),
    Request(queries.UsageQuery, "*", until="2.74"),
    *(Request(queries.UsageQuery, key, since="2.40") for key in ("limit", "marker")),
    Request(operator_bodies.NamedService, "forced_down", since="2.11"),
    Request(queries.LimitsQuery, "*", until="2.74"),
    Request(queries.NoQuery, "*", until="2.101"),
)

ROUTES_AND_ANSWERS = (
    Route("FlavorView", "PUT", since="2.55"),
    Route("TopologyView", since="2.78"),
    Route("TagsView", since="2.26"),
    Route("TagView", since="2.26"),
    Route("ServiceView", "force-down", since="2.11"),
    Route("HostsView", until="2.42"),
    Route("HostView", until="2.42"),
    Route("HostPowerView", until="2.42"),
    Route("ImagesView", until="2.35"),
    Route("ImagesDetailView", until="2.35"),
    Route("ImageView", until="2.35"),
    Route("ImageMetadataView", until="2.38"),
    Route("ImageMetaView", until="2.38"),
    Route("SecurityGroupListView", until="2.35"),
    Route("SecurityGroupView", until="2.35"),
    Route("SecurityGroupRulesView", until="2.35"),
    Route("SecurityGroupRuleView", until="2.35"),
    Route("HypervisorsSearchView", until="2.52"),
    Route("HypervisorsServersView", until="2.52"),
    Route("HypervisorUptimeView", until="2.87"),
    Route("HypervisorStatisticsView", until="2.87"),
    Answer("KeypairsView", "POST", status=200, until="2.1"),
    Answer("KeypairView", "DELETE", status=202, until="2.1"),
)

BEHAVIOURS = (
    Behaviour("soft_policies", since="2.15"),
    Behaviour("diagnostics_are_standard", since="2.48"),
    Behaviour("networks_by_word", since="2.37"),
    Behaviour("unknown_status_is_refused", since="2.38"),
    Behaviour("hostname_may_have_domain", since="2.94"),
    Behaviour("keypair_names_may_have_at_and_dot", since="2.92"),
    Behaviour("keypair_of_another_user", since="2.10"),
    Behaviour("keypair_pages", since="2.35"),
    Behaviour("users_filter_by_more", since="2.83"),
    Behaviour("servers_know_their_lock_reason", since="2.73"),
    Behaviour("actions_of_deleted_servers", since="2.21"),
    Behaviour("action_pages", since="2.58"),
    Behaviour("hypervisor_pages", since="2.33"),
    Behaviour("hypervisors_by_uuid", since="2.53"),
    Behaviour("hypervisor_shows_uptime", since="2.88"),
    Behaviour("usage_pages", since="2.40"),
    Behaviour("services_by_uuid", since="2.53"),
    Behaviour("description_defaults_to_name", until="2.18"),
    Behaviour("public_flavor_has_no_access_list", since="2.7"),
    Behaviour("extra_specs_are_checked", since="2.86"),
)

CHANGES = Changes(
    COMPUTE,
    SERVER,
    FLAVOR,
    KEYPAIR,
    ACTION,
    HYPERVISOR,
    SERVICE,
    SERVER_GROUP,
    LIMITS,
    QUOTAS,
    QUOTA_REQUESTS,
    SERVER_REQUESTS,
    SERVER_QUERIES,
    OTHER_REQUESTS,
    ROUTES_AND_ANSWERS,
    BEHAVIOURS,
)
