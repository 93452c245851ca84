"""What of a port's security settings goes together: port security, groups, and pairs of addresses beside its own."""

import ipaddress
from collections.abc import Iterable, Sequence
from uuid import UUID

from computecloud.wire.errors import InvalidInput
from networking import errors
from networking.models import Port

PAIRS_MAX = 10  # as Neutron's max_allowed_address_pair


def settle(
    port: Port, group_ids: Sequence[UUID], pairs: Iterable[dict[str, str]], *, had_groups: bool = False
) -> list[dict[str, str]]:
    """Return the pairs as they are kept: each with its hardware address, by default the port's, and its range.

    had_groups: the groups are those that the port has already. Raises what the Network API says of what does not go
    together.
    """
    kept = [_pair(pair, port.mac) for pair in pairs]
    if len(kept) > PAIRS_MAX:
        raise errors.AllowedAddressPairExhausted(PAIRS_MAX)
    for index, pair in enumerate(kept):
        if pair in kept[:index]:
            raise errors.DuplicateAddressPairInRequest(pair["mac_address"], pair["ip_address"])
    if port.port_security_enabled:
        return kept
    if group_ids:
        raise (
            errors.PortSecurityPortHasSecurityGroup()
            if had_groups
            else errors.PortSecurityAndIPRequiredForSecurityGroups()
        )
    if kept:
        raise errors.AddressPairAndPortSecurityRequired
    return kept


def _pair(pair: dict[str, str], mac: str) -> dict[str, str]:
    text = pair["ip_address"]
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InvalidInput(
            f"Invalid input for allowed_address_pairs. Reason: '{text[:64]}' is not a valid IP address or subnet."
        ) from None
    shown = str(network) if "/" in text else str(network.network_address)
    return {"ip_address": shown, "mac_address": pair.get("mac_address") or mac}
