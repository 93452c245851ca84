"""What libvirt's errors mean: whether the same call may work later."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import libvirt

from hypervisors.driver import CallFailed, DriverError, GuestNotFound

T = TypeVar("T")

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


def is_missing(error: Any) -> bool:
    """Return whether a libvirtError says that there is no such domain."""
    return bool(error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN)


def if_there(act: Callable[[], T]) -> T | None:
    """Return act's result, or None where the domain has gone meanwhile; raises libvirtError."""
    try:
        return act()
    except libvirt.libvirtError as error:
        if is_missing(error):
            return None
        raise


def translate(what: str, error: Any, *, connected: bool = True) -> DriverError:
    """Return the DriverError that a libvirtError means on a connection that is still there, or is not."""
    message = f"{what}: {error.get_error_message() or error}"
    if is_missing(error):
        return GuestNotFound(message)
    if not connected:
        return CallFailed(f"{message} (the connection is gone, the outcome unknown)", retryable=True)
    return CallFailed(message, retryable=error.get_error_code() in RETRYABLE)
