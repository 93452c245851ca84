"""The identity API has one version; like Keystone it ignores query keys that it does not know."""

from computecloud.wire.changes import Changes, Request
from computecloud.wire.services import IDENTITY
from identity.api.serializers import AssignmentQuery, ListQuery, TokenQuery

CHANGES = Changes(IDENTITY, *(Request(query, "*") for query in (ListQuery, AssignmentQuery, TokenQuery)))
