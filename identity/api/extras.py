"""Keys of users, projects and the like that nobody here knows: they are kept and answered, as Keystone does."""

from collections.abc import Mapping
from typing import Any, ClassVar

from computecloud.wire.serializers import StrictSerializer


class ExtensibleSerializer(StrictSerializer):
    """A body whose unknown keys are gathered under `extra`; `computed` ones, which answers make, are ignored.

    A password is known or ignored: what is kept as an extra is answered to every reader.
    """

    computed: ClassVar[frozenset[str]] = frozenset({"id", "links", "password", "password_expires_at"})

    def to_internal_value(self, data: Any) -> Any:
        """Return the validated dict; raises ValidationError."""
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        checked = super().to_internal_value({key: data[key] for key in data if key in self.fields})
        extra = {
            key: value for key, value in data.items() if key not in self.fields and key not in self.computed
        }
        return {**checked, "extra": extra} if extra else checked
