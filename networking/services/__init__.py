"""Everything that changes networking's rows; other rooms and the API call what is named here."""

from networking.selectors import facts_of
from networking.services.allocation import WantedIp
from networking.services.auto import auto_network
from networking.services.bootstrap import bootstrap
from networking.services.instances import bind, mark_wired, plan, unbind
from networking.services.networks import create_network, delete_network, update_network
from networking.services.ports import create_port, delete_port, update_port
from networking.services.subnets import create_subnet, delete_subnet, update_subnet

__all__ = [
    "WantedIp",
    "auto_network",
    "bind",
    "bootstrap",
    "create_network",
    "create_port",
    "create_subnet",
    "delete_network",
    "delete_port",
    "delete_subnet",
    "facts_of",
    "mark_wired",
    "plan",
    "unbind",
    "update_network",
    "update_port",
    "update_subnet",
]
