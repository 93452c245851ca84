"""The catalog: which service is where. Built from the declared services, so there is no table to keep."""

import uuid
from typing import Any

from computecloud.config import CONFIG
from computecloud.wire.services import IN_CATALOG, Service

INTERFACES = ("public", "internal", "admin")
_SPACE = uuid.UUID("6a8ea9ea-3a4c-4c43-9a5a-0a1f6ee6f6d1")


def catalog(base: str) -> list[dict[str, Any]]:
    """Return a token's catalog; base is scheme and host of the APIs."""
    return [
        {
            "id": service_id(service),
            "type": service.type,
            "name": service.name,
            "endpoints": [
                {
                    "id": entry["id"],
                    "interface": entry["interface"],
                    "region": CONFIG.region,
                    "region_id": CONFIG.region,
                    "url": entry["url"],
                }
                for entry in endpoints(base)
                if entry["service_id"] == service_id(service)
            ],
        }
        for service in IN_CATALOG
    ]


def services() -> list[dict[str, Any]]:
    """Return the services as the identity API lists them, without links."""
    return [
        {
            "id": service_id(service),
            "type": service.type,
            "name": service.name,
            "description": "",
            "enabled": True,
        }
        for service in IN_CATALOG
    ]


def endpoints(base: str) -> list[dict[str, Any]]:
    """Return all endpoints as the identity API lists them, without links."""
    return [
        {
            "id": _id(f"endpoint {service.type} {interface} {CONFIG.region}"),
            "interface": interface,
            "region": CONFIG.region,
            "region_id": CONFIG.region,
            "service_id": service_id(service),
            "url": base + service.catalog_path,
            "enabled": True,
        }
        for service in IN_CATALOG
        for interface in INTERFACES
    ]


def regions() -> list[dict[str, Any]]:
    """Return the one region, without links."""
    return [{"id": CONFIG.region, "description": "", "parent_region_id": None}]


def service_id(service: Service) -> str:
    """Return the service's id, the same in every process."""
    return _id(f"service {service.type}")


def _id(name: str) -> str:
    return uuid.uuid5(_SPACE, name).hex
