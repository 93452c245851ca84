"""What a tenant asks for when creating servers, as one typed value, whatever version of the API it came by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

Networks = (
    str | list[dict[str, Any]] | None
)  # "auto", "none", [{uuid | port, fixed_ip?, tag?}], None: not said


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where an admin wants the servers: a zone anybody may ask for; host and node; `checked` by the filters or not."""

    zone: str | None = None
    host: str | None = None
    node: str | None = None
    checked: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRequest:
    """The request as the API understood it; nothing here has been looked up yet."""

    name: str
    flavor_id: str
    image_id: UUID | None
    min_count: int = 1
    max_count: int = 1
    networks: Networks = None
    security_groups: Sequence[str] = ()
    key_name: str | None = None
    user_data: str | None = None  # base64
    metadata: Mapping[str, str] = field(default_factory=dict)
    config_drive: bool = False
    destination: Destination = field(default_factory=Destination)
    description: str | None = None
    hostname: str | None = None
    tags: Sequence[str] = ()
    hints: Mapping[str, Any] = field(default_factory=dict)
    trusted_certs: Sequence[str] | None = None
    auto_disk_config: bool = False
    access_ip_v4: str = ""
    access_ip_v6: str = ""
    admin_pass: str | None = None
    admin_pass_is_made: bool = False  # by us, not by the caller
