"""Key pairs of users."""

from typing import Any

from django.http import HttpResponseBase
from rest_framework.request import Request

from computecloud.wire.errors import Forbidden, InvalidInput
from instances import selectors
from instances.api.base import ComputeView
from instances.api.bodies import CreateKeypair
from instances.api.queries import KeypairQuery, KeypairsQuery
from instances.models import KeyPair
from instances.services import keypairs


class KeypairViews(ComputeView):
    """What every view of key pairs has: whose they are. They need no project."""

    needs_project = False

    def owner(self, asked: str | None, rule: str) -> str:
        """Return the user whose key pairs are meant; raises Forbidden where they are another's."""
        if asked is None or asked == self.caller.user_id:
            return self.caller.user_id
        if not self.caller.is_admin:
            raise Forbidden(f"Policy doesn't allow os_compute_api:os-keypairs:{rule} to be performed.")
        return asked

    def superset(self, pair: KeyPair) -> dict[str, Any]:
        """Return all that any version shows of a key pair."""
        return {
            "id": pair.pk,
            "name": pair.name,
            "type": pair.type,
            "public_key": pair.public_key,
            "fingerprint": pair.fingerprint,
            "user_id": pair.user_id,
            "created_at": pair.created_at.strftime("%Y-%m-%dT%H:%M:%S.%f"),
            "deleted": False,
            "deleted_at": None,
            "updated_at": None,
        }


class KeypairsView(KeypairViews):
    """GET and POST /os-keypairs."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List a user's key pairs."""
        query = self.query(KeypairsQuery)
        page = self.page(query)
        found = selectors.keypairs(self.owner(query.get("user_id"), "index"))
        if page.marker is not None:
            if not found.filter(name=page.marker).exists():
                raise InvalidInput(f"marker [{page.marker}] not found")
            found = found.filter(name__gt=page.marker)
        pairs = list(found[: page.limit])
        project = self.edition.projection("keypair", "brief")
        body: dict[str, Any] = {"keypairs": [{"keypair": project(self.superset(pair))} for pair in pairs]}
        after = self.next_links(page, [pair.name for pair in pairs])
        if after and self.behaves("keypair_pages"):
            body["keypairs_links"] = after
        return self.answer(body)

    def post(self, _request: Request) -> HttpResponseBase:
        """Keep a public key, or make a pair and show its private half this once."""
        self.no_query()
        wanted = self.body(CreateKeypair, key="keypair")
        made = keypairs.create(
            user_id=self.owner(wanted.get("user_id"), "create"),
            name=wanted["name"],
            key_type=wanted.get("type", "ssh"),
            public_key=wanted.get("public_key"),
            project_id=self.caller.project_id,
        )
        superset = self.superset(made.pair)
        if made.private_key is not None:
            superset["private_key"] = made.private_key
        return self.answer({"keypair": self.project("keypair", "create", superset)}, status=201)


class KeypairView(KeypairViews):
    """GET and DELETE /os-keypairs/{name}."""

    def get(self, _request: Request, name: str) -> HttpResponseBase:
        """Show a key pair."""
        query = self.query(KeypairQuery)
        pair = selectors.keypair(self.owner(query.get("user_id"), "show"), name)
        return self.answer({"keypair": self.project("keypair", "show", self.superset(pair))})

    def delete(self, _request: Request, name: str) -> HttpResponseBase:
        """Forget a key pair."""
        query = self.query(KeypairQuery)
        keypairs.delete(user_id=self.owner(query.get("user_id"), "delete"), name=name)
        return self.answer(status=204)
