"""What libvirt's errors mean: whether the connection is gone, and whether the same call may work later."""

from typing import Any, Final

import libvirt

from hypervisors.driver import CallFailed, DriverError, GuestNotFound

RETRYABLE: Final = frozenset(
    {
        libvirt.VIR_ERR_OPERATION_TIMEOUT,  # another job holds the guest
        libvirt.VIR_ERR_OPERATION_INVALID,  # the guest's state changed between the look and the act
        libvirt.VIR_ERR_OPERATION_ABORTED,
        libvirt.VIR_ERR_RESOURCE_BUSY,
        libvirt.VIR_ERR_AGENT_UNRESPONSIVE,
        libvirt.VIR_ERR_SYSTEM_ERROR,  # an errno: no memory, a busy device, a process that does not die
        libvirt.VIR_ERR_NO_MEMORY,
        libvirt.VIR_ERR_RPC,
        libvirt.VIR_ERR_LIBSSH,
    }
)
_LOST_DOMAINS: Final = frozenset({libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE})
_LOST: Final = frozenset({libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_ERR_RPC})
_LOST_ANYWHERE: Final = frozenset({libvirt.VIR_ERR_NO_CONNECT, libvirt.VIR_ERR_INVALID_CONN})


def is_lost(error: Any) -> bool:
    """Return whether a libvirtError says that the connection itself is gone."""
    code = error.get_error_code()
    return code in _LOST_ANYWHERE or (code in _LOST and error.get_error_domain() in _LOST_DOMAINS)


def is_missing(error: Any) -> bool:
    """Return whether a libvirtError says that there is no such domain."""
    return bool(error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN)


def translate(what: str, error: Any) -> DriverError:
    """Return the DriverError that a libvirtError means."""
    message = f"{what}: {error.get_error_message() or error}"
    if is_missing(error):
        return GuestNotFound(message)
    if is_lost(error):
        return CallFailed(f"{message} (the connection is gone, the outcome unknown)", retryable=True)
    return CallFailed(message, retryable=error.get_error_code() in RETRYABLE)
