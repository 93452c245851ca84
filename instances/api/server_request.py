"""From a validated POST /servers to what the services take; refuses in words what no service here offers yet."""

import secrets
import string
from collections.abc import Mapping
from typing import Any

from computecloud.config import CONFIG
from computecloud.wire.errors import InvalidInput
from instances import hints
from instances.api.base import ComputeView
from instances.services.requests import Destination, ServerRequest

PASSWORD_LENGTH = 12
_LETTERS_AND_DIGITS = string.ascii_letters + string.digits
_NO_VOLUMES = (
    "Block Device Mapping is Invalid: there is no volume service here; boot from an image to its local disk."
)


def server_request(view: ComputeView, body: Mapping[str, Any]) -> ServerRequest:
    """Return the request in the services' terms; raises InvalidInput, Forbidden."""
    server = body["server"]
    _refuse_injected_files(server)
    low = server.get("min_count", 1)
    high = server.get("max_count", low)
    if low > high:
        raise InvalidInput("min_count must be <= max_count")
    description = server.get("description")
    if view.behaves("description_defaults_to_name"):
        description = server["name"]
    password = server.get("adminPass") or _new_password(view)
    return ServerRequest(
        name=server["name"],
        flavor_id=server["flavorRef"],
        image_id=_image(server),
        min_count=low,
        max_count=high,
        networks=server.get("networks"),
        security_groups=[group["name"] for group in server.get("security_groups", ())] or ["default"],
        key_name=server.get("key_name"),
        user_data=server.get("user_data"),
        metadata=server.get("metadata", {}),
        config_drive=server.get("config_drive", False),
        destination=_destination(view, server),
        description=description,
        hostname=_hostname(server, high),
        tags=server.get("tags", ()),
        hints=_hints(body),
        trusted_certs=server.get("trusted_image_certificates"),
        auto_disk_config=server.get("disk_config") == "AUTO",
        access_ip_v4=server.get("accessIPv4", ""),
        access_ip_v6=server.get("accessIPv6", ""),
        admin_pass=password,
        admin_pass_is_made=not server.get("adminPass"),
    )


def _new_password(view: ComputeView) -> str | None:
    """Return a new password; none for a key's request, whose answer is kept whole."""
    if not CONFIG.instance_password or "Idempotency-Key" in view.request.headers:
        return None
    return "".join(secrets.choice(_LETTERS_AND_DIGITS) for _ in range(PASSWORD_LENGTH))


def _refuse_injected_files(server: Mapping[str, Any]) -> None:
    if server.get("personality"):
        raise InvalidInput(
            "Files are not injected here (personality); hand them over in user_data or the config drive."
        )


def _hints(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return hints.checked(body.get("hints") or body.get("old_hints") or {})


def _hostname(server: Mapping[str, Any], count: int) -> str | None:
    hostname: str | None = server.get("hostname")
    if hostname and count > 1 and len(hostname) > 58:
        raise InvalidInput("The hostname is too long to be numbered for several servers.")
    return hostname


def _image(server: Mapping[str, Any]) -> Any:
    """Return the image's id, from imageRef or from the one block device that says the same."""
    image_id = server.get("imageRef")
    if server.get("block_device_mapping"):
        raise InvalidInput(_NO_VOLUMES)
    for device in server.get("block_device_mapping_v2", ()):
        if device["source_type"] != "image" or device.get("destination_type", "local") != "local":
            raise InvalidInput(_NO_VOLUMES)
        if device.get("boot_index") != 0 or "uuid" not in device:
            raise InvalidInput("Block Device Mapping is Invalid: Boot sequence for the instance is invalid.")
        if image_id is not None and image_id != device["uuid"]:
            raise InvalidInput("Block Device Mapping is Invalid: it names another image than imageRef.")
        image_id = device["uuid"]
    if image_id is None:
        raise InvalidInput("Invalid imageRef provided: name an image, there is no volume to boot from.")
    return image_id


def _destination(view: ComputeView, server: Mapping[str, Any]) -> Destination:
    """Return where the servers shall run: a zone, `zone:host:node` of an admin, or the host that 2.74 brought."""
    zone, host, node = _zone_parts(server.get("availability_zone"))
    if host or node:
        view.enforce("os_compute_api:servers:create:forced_host")
    wanted_host, wanted_node = server.get("host"), server.get("hypervisor_hostname")
    if wanted_host or wanted_node:
        view.enforce("compute:servers:create:requested_destination")
        if host or node:
            raise InvalidInput(
                "A host is named twice: in availability_zone and in host or hypervisor_hostname."
            )
        return Destination(zone=zone, host=wanted_host, node=wanted_node, checked=True)
    return Destination(zone=zone, host=host, node=node, checked=not (host or node))


def _zone_parts(text: str | None) -> tuple[str | None, str | None, str | None]:
    if text is None:
        return None, None, None
    parts = text.split(":")
    if len(parts) > 3:
        raise InvalidInput(f"Invalid availability zone {text[:64]!r}: at most zone:host:node.")
    zone, host, node = [part or None for part in (*parts, "", "")[:3]]
    return zone, host, node
