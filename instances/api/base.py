"""What this room's views share: the service, its changes, and policy by rule name."""

from typing import ClassVar

from computecloud.wire.changes import Changes
from computecloud.wire.services import COMPUTE, Service
from computecloud.wire.views import ApiView
from instances import policies
from instances.api.changes import CHANGES
from instances.api.queries import NoQuery


class ComputeView(ApiView):
    """Base of every view of the Compute API."""

    service: ClassVar[Service] = COMPUTE
    changes: ClassVar[Changes] = CHANGES

    def enforce(self, rule: str) -> None:
        """Raise Forbidden (403) where the caller does not pass this rule."""
        policies.check(self.caller, rule)

    def allows(self, rule: str) -> bool:
        """Tell whether the caller passes this rule."""
        return policies.allows(self.caller, rule)

    def no_query(self) -> None:
        """Refuse query keys where the version is strict about them (400)."""
        if self.request._request.GET:
            self.query(NoQuery)
