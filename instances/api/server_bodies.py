"""Bodies of requests about servers, in the newest terms; how older versions differ is in instances.api.changes."""

from typing import Any

from rest_framework import serializers

from computecloud.wire import fields
from computecloud.wire.errors import InvalidInput
from computecloud.wire.serializers import StrictSerializer, validate

HOSTNAME = r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
FQDN = r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*"
TAG = r"[^,/]{1,60}"
MANY_SERVERS = 1_000


class Network(StrictSerializer):
    """One entry of `networks`: a network or a port, perhaps with an address and a device tag."""

    uuid = fields.Uuid(required=False)
    port = fields.Uuid(required=False, allow_null=True)
    fixed_ip = fields.Address(required=False)
    tag = fields.Text(min_length=1, max_length=60, pattern=TAG, required=False)


class Networks(fields.StrictField):
    """`auto`, `none`, or a list of networks."""

    openapi = {
        "oneOf": [
            {"enum": ["auto", "none"]},
            {"type": "array", "maxItems": 64, "items": {"type": "object", "additionalProperties": True}},
        ]
    }

    def to_internal_value(self, data: Any) -> Any:
        """Return the word, or the list with its ids as text."""
        serializer = self.parent
        if not isinstance(serializer, StrictSerializer):
            raise TypeError("Networks stands in a StrictSerializer")
        if isinstance(data, str) and serializer.behaves("networks_by_word"):
            if data not in {"auto", "none"}:
                self.refuse(f"{data[:64]!r} is not one of ['auto', 'none'] and no list")
            return data
        if not isinstance(data, list) or len(data) > 64:
            self.refuse("it must be a list of at most 64 networks")
        return [
            {key: str(value) for key, value in item.items() if value is not None}
            for item in (
                validate(serializer.edition, Network, entry, f"server.networks.{number}")
                for number, entry in enumerate(data)
            )
        ]


class BlockDevice(StrictSerializer):
    """One entry of block_device_mapping_v2."""

    boot_index = fields.Integer(required=False, allow_null=True)
    delete_on_termination = fields.Boolean(required=False)
    destination_type = fields.Choice(["local", "volume"], required=False)
    device_name = fields.Text(required=False, allow_null=True)
    device_type = fields.Text(required=False)
    disk_bus = fields.Text(required=False)
    guest_format = fields.Text(required=False)
    no_device = fields.Object(required=False)
    source_type = fields.Choice(["volume", "image", "snapshot", "blank"])
    tag = fields.Text(min_length=1, max_length=60, pattern=TAG, required=False)
    uuid = fields.Uuid(required=False)
    volume_size = fields.Integer(min_value=0, required=False)
    volume_type = fields.Text(min_length=1, required=False, allow_null=True)


class SecurityGroup(StrictSerializer):
    """A security group by its name."""

    name = fields.Name()


class ImageRef(fields.StrictField):
    """An image's uuid, also at the end of its URL; the empty string for a server that boots from a volume."""

    openapi = {"type": "string"}

    def to_internal_value(self, data: Any) -> Any:
        """Return the uuid, or None for the empty string."""
        if data == "":
            return None
        tail = data.rpartition("/")[2] if isinstance(data, str) else data
        return fields.Uuid().run_validation(tail)


class FlavorRef(fields.StrictField):
    """A flavor's id as text or number, also at the end of its URL."""

    openapi = {"oneOf": [{"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}]}

    def to_internal_value(self, data: Any) -> Any:
        """Return the id as text."""
        if isinstance(data, int) and not isinstance(data, bool) and data >= 0:
            return str(data)
        text = fields.Text(min_length=1).run_validation(data)
        return str(text).rpartition("/")[2]


class AccessAddress(fields.StrictField):
    """An address of one IP version, or the empty string for none."""

    openapi = {"type": "string"}

    def __init__(self, version: int, **common: Any) -> None:
        self.version = version
        super().__init__(**common)

    def to_internal_value(self, data: Any) -> Any:
        """Return the address."""
        if data == "":
            return ""
        text = str(fields.Address().run_validation(data))
        if (":" in text) != (self.version == 6):
            self.refuse(f"{text} is not an IPv{self.version} address")
        return text


class UserData(fields.Base64):
    """Base64 text as the client sent it."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the text, still encoded and with its line ends."""
        super().to_internal_value(data)
        return data


class CreateServer(StrictSerializer):
    """What stands under `server` in POST /servers."""

    keys = {"disk_config": "OS-DCF:diskConfig"}

    name = fields.Name()
    flavorRef = FlavorRef()
    imageRef = ImageRef(required=False, allow_null=True)
    adminPass = fields.Text(required=False)
    metadata = fields.Metadata(required=False, max_items=MANY_SERVERS)
    networks = Networks(required=False)
    security_groups = SecurityGroup(many=True, required=False)
    key_name = fields.Text(min_length=1, required=False)
    user_data = UserData(required=False, allow_null=True)
    availability_zone = fields.Name(required=False)
    config_drive = fields.Boolean(required=False)
    min_count = fields.Integer(min_value=1, max_value=MANY_SERVERS, required=False)
    max_count = fields.Integer(min_value=1, max_value=MANY_SERVERS, required=False)
    return_reservation_id = fields.Boolean(required=False)
    disk_config = fields.Choice(["AUTO", "MANUAL"], required=False)
    accessIPv4 = AccessAddress(4, required=False)
    accessIPv6 = AccessAddress(6, required=False)
    personality = serializers.ListField(child=fields.Object(), max_length=64, required=False)
    block_device_mapping = serializers.ListField(child=fields.Object(), max_length=64, required=False)
    block_device_mapping_v2 = BlockDevice(many=True, required=False)
    description = fields.Text(multiline=True, required=False, allow_null=True)
    tags = serializers.ListField(child=fields.Text(pattern=TAG), max_length=50, required=False)
    trusted_image_certificates = serializers.ListField(
        child=fields.Text(min_length=1), min_length=1, max_length=50, required=False, allow_null=True
    )
    host = fields.Text(min_length=1, pattern=r"[a-zA-Z0-9-._]*", required=False)
    hypervisor_hostname = fields.Text(min_length=1, pattern=r"[a-zA-Z0-9-._]*", required=False)
    hostname = fields.Text(min_length=1, pattern=FQDN, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a host name that only newer versions take."""
        hostname = attrs.get("hostname")
        if hostname and "." in hostname and not self.behaves("hostname_may_have_domain"):
            raise InvalidInput(
                "Invalid input for field/attribute hostname. It may not hold a dot before version 2.94."
            )
        return attrs


class CreateServerBody(StrictSerializer):
    """The body of POST /servers."""

    keys = {"hints": "os:scheduler_hints", "old_hints": "OS-SCH-HNT:scheduler_hints"}

    server = CreateServer()
    hints = fields.Object(required=False)
    old_hints = fields.Object(required=False)


class UpdateServer(StrictSerializer):
    """What stands under `server` in PUT /servers/{id}."""

    keys = {"disk_config": "OS-DCF:diskConfig"}

    name = fields.Name(required=False)
    disk_config = fields.Choice(["AUTO", "MANUAL"], required=False)
    accessIPv4 = AccessAddress(4, required=False)
    accessIPv6 = AccessAddress(6, required=False)
    description = fields.Text(multiline=True, required=False, allow_null=True)
    hostname = fields.Text(min_length=1, pattern=FQDN, required=False)
    pinned_availability_zone = fields.Name(required=False, allow_null=True)


class Reboot(StrictSerializer):
    """What stands under `reboot`."""

    type = fields.Choice(["SOFT", "HARD", "soft", "hard", "Soft", "Hard"])


class Lock(StrictSerializer):
    """What stands under `lock`, since 2.73; before, nothing that is there is looked at."""

    locked_reason = fields.Text(min_length=1, required=False)


class ResetState(StrictSerializer):
    """What stands under `os-resetState`."""

    state = fields.Choice(["active", "error"])


class TagsBody(StrictSerializer):
    """The body of PUT /servers/{id}/tags."""

    tags = serializers.ListField(child=fields.Text(pattern=TAG), max_length=50)


class ConsoleOutput(StrictSerializer):
    """What stands under `os-getConsoleOutput`: how many lines, -1 or null for all."""

    length = fields.Integer(min_value=-1, required=False, allow_null=True)


class MetadataBody(StrictSerializer):
    """The body of writes to a server's metadata."""

    metadata = fields.Metadata(max_items=MANY_SERVERS)


class MetaBody(StrictSerializer):
    """The body of a write to one key of a server's metadata."""

    meta = fields.Metadata(max_items=1)
