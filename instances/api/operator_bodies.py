"""Bodies of what operators ask: quotas and their defaults, compute services."""

from typing import Any

from computecloud.wire import fields
from computecloud.wire.errors import InvalidInput
from computecloud.wire.serializers import StrictSerializer
from quotas.models import UNLIMITED
from workers import hosts

ENABLED, DISABLED = "enabled", "disabled"


def _limit() -> fields.Integer:
    return fields.Integer(min_value=UNLIMITED, required=False)


class UpdateQuotaClass(StrictSerializer):
    """What stands under `quota_class_set` in PUT /os-quota-class-sets/{class}; ram in MiB, -1 is no limit."""

    instances = _limit()
    cores = _limit()
    ram = _limit()
    key_pairs = _limit()
    metadata_items = _limit()
    server_groups = _limit()
    server_group_members = _limit()
    injected_files = _limit()
    injected_file_content_bytes = _limit()
    injected_file_path_bytes = _limit()
    floating_ips = _limit()
    fixed_ips = _limit()
    security_groups = _limit()
    security_group_rules = _limit()


class UpdateQuotaSet(UpdateQuotaClass):
    """What stands under `quota_set` in PUT /os-quota-sets/{project}; force takes limits below what is used."""

    force = fields.Boolean(required=False)


def _reason() -> fields.Text:
    return fields.Text(min_length=1, max_length=hosts.REASON_MAX, required=False)


class NamedService(StrictSerializer):
    """The body of PUT /os-services/enable and its like, before 2.53."""

    host = fields.Text(min_length=1)
    binary = fields.Text(min_length=1)
    disabled_reason = _reason()
    forced_down = fields.Boolean(required=False)


class UpdateService(StrictSerializer):
    """The body of PUT /os-services/{uuid}, since 2.53."""

    status = fields.Choice([ENABLED, DISABLED], required=False)
    disabled_reason = _reason()
    forced_down = fields.Boolean(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a body that changes nothing, and a reason without a service that is disabled."""
        if "status" not in attrs and "forced_down" not in attrs:
            raise InvalidInput(
                "No updates were requested. Fields 'status' or 'forced_down' should be specified."
            )
        if "disabled_reason" in attrs and attrs.get("status") != DISABLED:
            raise InvalidInput("Specifying 'disabled_reason' when status is 'enabled' is invalid.")
        return attrs


_SWITCHES = [word for verb in ("enable", "disable") for word in (verb, verb.capitalize(), verb.upper())]


class UpdateHost(StrictSerializer):
    """The body of PUT /os-hosts/{name}."""

    status = fields.Choice(_SWITCHES, required=False)
    maintenance_mode = fields.Choice(_SWITCHES, required=False)
