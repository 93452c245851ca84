"""What the service answers: who asks is told by where the question comes from, never by what stands in it."""

import posixpath
from dataclasses import dataclass
from secrets import token_bytes
from urllib.parse import unquote_to_bytes
from uuid import UUID

import structlog
from django.db import DatabaseError, close_old_connections

import networking.selectors
from computecloud.config import CONFIG
from computecloud.wire.errors import Conflict, InvalidInput
from instances.metadata import ec2, facts, openstack
from instances.metadata.facts import Told
from instances.models import Instance
from instances.services import guest_password

log = structlog.get_logger()

TEXT = "text/plain; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Question:
    """A request as far as anybody looks at it: there is nothing about headers."""

    method: str
    path: bytes
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whole."""

    status: int
    body: bytes = b""
    media_type: str = TEXT


NOT_FOUND = Answer(404, b"404 Not Found")
NOT_ALLOWED = Answer(405, b"405 Method Not Allowed")
FAILED = Answer(500, b"500 Internal Server Error")
UNAVAILABLE = Answer(503, b"503 Service Unavailable")


def answer_apart(network_id: UUID, address: str, question: Question) -> Answer:
    """Do what answer() does, in a thread for such answers: database connections that went bad are closed after it."""
    try:
        return answer(network_id, address, question)
    finally:
        close_old_connections()


def answer(network_id: UUID, address: str, question: Question) -> Answer:
    """Return the answer to a guest that asks from an address of a network.

    A database that does not answer is 503, as guests ask again then; what nobody has thought of is 500, and logged.
    """
    try:
        return _answered(network_id, address, question)
    except DatabaseError as error:
        log.warning("metadata.database", error=str(error))
        return UNAVAILABLE
    except Exception:  # the edge: the guest learns nothing of what is inside
        log.exception("metadata.failed", network_id=str(network_id))
        return FAILED


def _answered(network_id: UUID, address: str, question: Question) -> Answer:
    path = _path(question.path)
    if path is None:
        return NOT_FOUND
    instance_id = networking.selectors.holder_at(network_id, address, host=CONFIG.host)
    instance = Instance.objects.filter(id=instance_id, deleted=False).first() if instance_id else None
    if instance is None:
        return NOT_FOUND
    if question.method == "POST" and _is_password(path):
        return _keep(instance, question.body)
    if question.method not in ("GET", "HEAD"):
        return NOT_ALLOWED
    ports = networking.selectors.facts_of(instance.id)
    told = facts.of_instance(instance, ports, random_seed=token_bytes(facts.SEED_BYTES))
    if path[0] == "openstack":
        return _openstack(told, instance, path[1:])
    return _ec2(told, path[1:] if path[0] == "ec2" else path)


def _path(raw: bytes) -> list[str] | None:
    """Return the path's names; None where it is none of ours by its form."""
    text = unquote_to_bytes(raw.partition(b"?")[0])
    if not text.startswith(b"/") or not text.isascii():
        return None
    return posixpath.normpath("/" + text.decode("ascii").lstrip("/"))[1:].split("/")


def _is_password(path: list[str]) -> bool:
    if len(path) != 3 or path[0] != "openstack" or path[2] != openstack.PASSWORD:
        return False
    version = openstack.numbered(path[1])
    return version is not None and version >= openstack.SINCE_POSTED


def _keep(instance: Instance, body: bytes) -> Answer:
    try:
        guest_password.post(instance.id, body)
    except InvalidInput as refusal:
        return Answer(400, refusal.message.encode())
    except Conflict as refusal:
        return Answer(409, refusal.message.encode())
    return Answer(200)


def _openstack(told: Told, instance: Instance, path: list[str]) -> Answer:
    if not path:
        return _lines([*openstack.VERSIONS, openstack.LATEST])
    version = openstack.numbered(path[0])
    if version is None or len(path) > 2:
        return NOT_FOUND
    names = openstack.names(told, version)
    if len(path) == 1:
        return _lines(names)
    if path[1] not in names:
        return NOT_FOUND
    if path[1] == openstack.PASSWORD:
        return Answer(200, guest_password.read(instance).encode())
    return Answer(200, *openstack.document(told, version, path[1]))


def _ec2(told: Told, path: list[str]) -> Answer:
    if path in ([], [""]):
        return _lines([*ec2.VERSIONS, ec2.LATEST])
    version = ec2.numbered(path[0])
    if version is None:
        return NOT_FOUND
    node: ec2.Node = ec2.tree(told, version)
    for name in path[1:]:
        if not isinstance(node, dict) or name not in node or name == ec2.SHOWN_AS:
            return NOT_FOUND
        node = node[name]
    return Answer(200, ec2.render(node), openstack.BYTES if isinstance(node, bytes) else TEXT)


def _lines(names: list[str]) -> Answer:
    return Answer(200, "\n".join(names).encode())
