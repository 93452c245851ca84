"""Bodies of requests about flavors and key pairs, in the newest terms."""

from typing import Any

from computecloud.wire import fields
from computecloud.wire.errors import InvalidInput
from computecloud.wire.serializers import StrictSerializer

_FLAVOR_ID = r"(?! )[a-zA-Z0-9. _-]*(?<! )"
_SPEC_KEY = r"[a-zA-Z0-9-_:. ]{1,255}"


class FlavorId(fields.Text):
    """A flavor's id: text, or a number as some clients send it."""

    def __init__(self, **common: Any) -> None:
        super().__init__(min_length=1, pattern=_FLAVOR_ID, **common)

    def to_internal_value(self, data: Any) -> Any:
        """Return the id as text."""
        return super().to_internal_value(str(data) if type(data) is int else data)


class CreateFlavor(StrictSerializer):
    """What stands under `flavor` in POST /flavors: ram and swap in MiB, disk and ephemeral in GiB."""

    keys = {"ephemeral": "OS-FLV-EXT-DATA:ephemeral", "is_public": "os-flavor-access:is_public"}

    name = fields.Name()
    id = FlavorId(required=False, allow_null=True)
    ram = fields.Integer(min_value=1)
    vcpus = fields.Integer(min_value=1)
    disk = fields.Integer(min_value=0)
    ephemeral = fields.Integer(min_value=0, required=False)
    swap = fields.Integer(min_value=0, required=False)
    rxtx_factor = fields.Number(min_value=0, max_value=3.4e38, required=False)
    is_public = fields.Boolean(required=False)
    description = fields.Text(max_length=65_535, multiline=True, required=False, allow_null=True)


class UpdateFlavor(StrictSerializer):
    """What stands under `flavor` in PUT /flavors/{id}."""

    description = fields.Text(max_length=65_535, multiline=True, allow_null=True)


class ExtraSpecs(fields.StrictField):
    """Extra specs: short keys, values as text or number."""

    openapi = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}}

    def to_internal_value(self, data: Any) -> Any:
        """Return the specs with their values as text."""
        if not isinstance(data, dict) or not data:
            self.refuse("it must be an object with at least one key")
        key = fields.Text(min_length=1, pattern=_SPEC_KEY)
        value = fields.Text()
        return {
            key.run_validation(name): value.run_validation(
                str(given) if isinstance(given, int | float) and not isinstance(given, bool) else given
            )
            for name, given in data.items()
        }


class ExtraSpecsBody(StrictSerializer):
    """The body of POST /flavors/{id}/os-extra_specs."""

    extra_specs = ExtraSpecs()


class TenantAccess(StrictSerializer):
    """What stands under addTenantAccess and removeTenantAccess."""

    tenant = fields.Identifier(min_length=1)


class CreateKeypair(StrictSerializer):
    """What stands under `keypair` in POST /os-keypairs."""

    name = fields.Name()
    type = fields.Choice(["ssh", "x509"], required=False)
    public_key = fields.Text(min_length=1, max_length=16_384, multiline=True, required=False)
    user_id = fields.Identifier(min_length=1, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse characters in the name that this version does not take."""
        also = "@._- " if self.behaves("keypair_names_may_have_at_and_dot") else "_- "
        if any(not (one.isascii() and one.isalnum()) and one not in also for one in attrs["name"]):
            raise InvalidInput("Keypair data is invalid: Keypair name contains unsafe characters")
        return attrs
