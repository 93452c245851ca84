"""Query strings of this room's collections, in the newest terms."""

from typing import Any

from rest_framework import serializers

from computecloud.wire import fields
from computecloud.wire.errors import InvalidInput
from computecloud.wire.paging import PageQuery
from computecloud.wire.serializers import StrictSerializer
from instances.listing import SORT_KEYS
from instances.services import tags


class _Switch(fields.StrictField):
    """A boolean as queries write it: also with nothing behind the key."""

    openapi = {"type": "boolean"}

    def to_internal_value(self, data: Any) -> Any:
        """Return the boolean."""
        return True if data == "" else fields.Boolean().run_validation(str(data).strip().capitalize())


class _PowerState(fields.StrictField):
    """A power state by its number."""

    openapi = {"type": "integer", "minimum": 0, "maximum": 9}

    def to_internal_value(self, data: Any) -> Any:
        """Return the number."""
        return fields.Integer(min_value=0, max_value=9).run_validation(data)


def _text(**common: Any) -> fields.Text:
    return fields.Text(max_length=255, required=False, **common)


def _tags() -> fields.Text:
    """Return a field of as many tags as a server may have, with commas between them."""
    return fields.Text(max_length=tags.MOST * (tags.MAX_CHARS + 1), required=False)


class ServersQuery(PageQuery):
    """What GET /servers and /servers/detail take. `keys` hold dashes; a repeated key is a list where it may be."""

    keys = {
        "changes_since": "changes-since",
        "changes_before": "changes-before",
        "tags_any": "tags-any",
        "not_tags": "not-tags",
        "not_tags_any": "not-tags-any",
    }

    sort_key = serializers.ListField(child=fields.Text(max_length=64), required=False)
    sort_dir = serializers.ListField(child=fields.Choice(["asc", "desc"]), required=False)
    status = serializers.ListField(child=fields.Text(max_length=64), required=False)
    changes_since = fields.Timestamp(required=False)
    changes_before = fields.Timestamp(required=False)
    all_tenants = _Switch(required=False)
    project_id = _text()
    tenant_id = _text()
    user_id = _text()
    name = _text()
    display_name = _text()
    description = _text()
    display_description = _text()
    image = _text()
    image_ref = _text()
    flavor = _text()
    instance_type_id = _text()
    ip = _text()
    ip6 = _text()
    uuid = _text()
    reservation_id = _text()
    host = _text()
    node = _text()
    hostname = _text()
    availability_zone = _text()
    config_drive = _text()
    key_name = _text()
    created_at = _text()
    launched_at = _text()
    terminated_at = _text()
    power_state = _PowerState(required=False)
    task_state = _text()
    vm_state = _text()
    progress = fields.Integer(min_value=0, max_value=100, required=False)
    tags = _tags()
    tags_any = _tags()
    not_tags = _tags()
    not_tags_any = _tags()
    locked = _Switch(required=False)
    locked_by = _text()
    deleted = _Switch(required=False)
    soft_deleted = _Switch(required=False)
    access_ip_v4 = _text()
    access_ip_v6 = _text()
    auto_disk_config = _text()
    kernel_id = _text()
    ramdisk_id = _text()
    root_device_name = _text()
    launch_index = fields.Integer(min_value=0, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse sort keys that do not exist (at this version), and a period that ends before it begins."""
        for key in attrs.get("sort_key", ()):
            if key not in SORT_KEYS or (
                key == "locked" and not self.behaves("servers_know_their_lock_reason")
            ):
                raise InvalidInput(
                    f"Invalid input for query parameters sort_key. {key[:64]!r} is no sort key."
                )
        since, before = attrs.get("changes_since"), attrs.get("changes_before")
        if since and before and since > before:
            raise InvalidInput("The value of changes-since must be less than or equal to changes-before.")
        return attrs


class FlavorsQuery(PageQuery):
    """What GET /flavors and /flavors/detail take."""

    is_public = _text()
    minRam = fields.Integer(min_value=0, required=False)
    minDisk = fields.Integer(min_value=0, required=False)
    sort_key = fields.Text(max_length=64, required=False)
    sort_dir = fields.Choice(["asc", "desc"], required=False)
    name = _text()


class KeypairsQuery(PageQuery):
    """What GET /os-keypairs takes; user_id is an admin's."""

    user_id = _text()


class KeypairQuery(StrictSerializer):
    """What GET and DELETE of one key pair take."""

    user_id = _text()


class ActionsQuery(PageQuery):
    """What GET /servers/{id}/os-instance-actions takes."""

    keys = {"changes_since": "changes-since", "changes_before": "changes-before"}

    changes_since = fields.Timestamp(required=False)
    changes_before = fields.Timestamp(required=False)


class HypervisorsQuery(PageQuery):
    """What GET /os-hypervisors and /detail take."""

    hypervisor_hostname_pattern = _text()
    with_servers = fields.Boolean(required=False)


class HypervisorQuery(StrictSerializer):
    """What GET /os-hypervisors/{id} takes."""

    with_servers = fields.Boolean(required=False)


class ServicesQuery(StrictSerializer):
    """What GET /os-services takes."""

    host = _text()
    binary = _text()


class HostsQuery(StrictSerializer):
    """What GET /os-hosts takes."""

    zone = _text()


class SecurityGroupsQuery(PageQuery):
    """What GET /os-security-groups takes; all_tenants is an admin's."""

    offset = fields.Integer(min_value=0, required=False)
    all_tenants = _Switch(required=False)


class ImagesQuery(PageQuery):
    """What GET /images and /images/detail take."""

    keys = {"changes_since": "changes-since", "min_ram": "minRam", "min_disk": "minDisk"}

    name = _text()
    status = _text()
    server = fields.Text(max_length=2_048, required=False)
    type = _text()
    changes_since = fields.Timestamp(required=False)
    min_ram = fields.Integer(min_value=0, required=False)
    min_disk = fields.Integer(min_value=0, required=False)


class UsageQuery(PageQuery):
    """What GET /os-simple-tenant-usage takes; details are asked for with 1."""

    start = fields.Timestamp(required=False)
    end = fields.Timestamp(required=False)
    detailed = _text()


class LimitsQuery(StrictSerializer):
    """What GET /limits takes; tenant_id is an admin's."""

    tenant_id = _text()


class QuotaSetQuery(StrictSerializer):
    """What requests about one project's quotas take."""

    user_id = _text()


class NoQuery(StrictSerializer):
    """The query of everything else: nothing."""
