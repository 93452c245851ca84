"""Microversion negotiation: which version a request asks for, and how the answer says it."""

from collections.abc import Mapping

from django.http import HttpResponseBase
from django.utils.cache import patch_vary_headers

from computecloud.wire.errors import CloudError, InvalidInput
from computecloud.wire.services import Service, Version

STANDARD_HEADER = "OpenStack-API-Version"


class MalformedVersion(InvalidInput):
    """The version header holds no version (400)."""


class VersionNotSupported(CloudError):
    """The version asked for is outside the service's range (406)."""


def negotiate(service: Service, headers: Mapping[str, str]) -> Version:
    """Return the version that the request's headers ask for; the least one when they ask for none.

    Raises MalformedVersion (400) and VersionNotSupported (406).
    """
    if not service.microversions:
        return service.max
    asked = _asked(service, headers)
    if asked is None:
        return service.min
    if asked == "latest":
        return service.max
    try:
        version = Version.parse(asked)
    except ValueError:
        raise MalformedVersion(
            f"API Version String {asked[:64]} is of invalid format. Must be of format MajorNum.MinorNum."
        ) from None
    if not service.min <= version <= service.max:
        raise VersionNotSupported(
            f"Version {version} is not supported by the API. "
            f"Minimum is {service.min} and maximum is {service.max}."
        )
    return version


def echo(service: Service, version: Version, response: HttpResponseBase) -> None:
    """Write the version used into the answer's headers, and that they vary by it."""
    if not service.microversions:
        return
    response[STANDARD_HEADER] = f"{service.type} {version}"
    names = [STANDARD_HEADER]
    if service.legacy_header:
        response[service.legacy_header] = str(version)
        names.append(service.legacy_header)
    if response.has_header("Vary"):
        patch_vary_headers(response, names)
    else:
        response["Vary"] = ", ".join(names)


def _asked(service: Service, headers: Mapping[str, str]) -> str | None:
    for item in reversed(headers.get(STANDARD_HEADER, "").split(",")):
        name, _, version = item.strip().partition(" ")
        if name.lower() == service.type:
            return version.strip()
    if service.legacy_header:
        return headers.get(service.legacy_header)
    return None
