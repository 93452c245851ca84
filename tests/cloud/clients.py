"""The clients of a tenant and an operator, each with the same verbs: the `openstack` command, and openstacksdk."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import openstack

from tests.cloud.cloud import Cloud, until

IDLE_S = 60.0
ADMIN = "computecloud-admin"
NEWEST = ("--os-compute-api-version", "2.96")  # the command's own default is 2.1


@dataclass(frozen=True)
class Wish:
    """A server that is asked for; its key pair, flavor and security group have its name."""

    name: str
    description: str
    metadata: dict[str, str]
    tag: str
    user_data: Path


@dataclass(frozen=True)
class Shown:
    """A server as a client shows it."""

    id: str
    name: str
    status: str
    description: str
    metadata: dict[str, str]
    tags: list[str]
    locked: bool
    addresses: dict[str, Any]


class ApiClient(Protocol):
    """What is asked of both."""

    def create_key_pair(self, name: str, public_key: Path) -> list[str]:
        """Make a key pair; returns the names of all."""

    def create_flavor(self, name: str, ram_mib: int) -> list[str]:
        """Make a flavor as the operator; returns the names that the tenant sees."""

    def create_security_group(self, name: str) -> None:
        """Make a security group that lets SSH in, and nothing else."""

    def let_pings_in(self, group: str) -> None:
        """Let pings pass a security group."""

    def create(self, wish: Wish) -> str:
        """Make a server and wait for it; returns its id."""

    def show(self, server: str) -> Shown:
        """Return a server."""

    def act(self, server: str, verb: str) -> None:
        """Have a verb act on the server: pause, "reboot soft" and the like."""

    def describe(self, server: str, name: str, description: str) -> None:
        """Give the server another name and description."""

    def set_metadata(self, server: str, key: str, value: str) -> None:
        """Set an item of metadata."""

    def unset_metadata(self, server: str, key: str) -> None:
        """Remove an item of metadata."""

    def set_tag(self, server: str, tag: str) -> None:
        """Add a tag."""

    def console_log(self, server: str) -> str:
        """Return what the guest wrote to its console."""

    def actions(self, server: str) -> list[str]:
        """Return what was done to the server, the newest first."""

    def instances_quota(self, project: str) -> int:
        """Return how many servers a project may have."""

    def set_instances_quota(self, project: str, limit: int) -> None:
        """Let a project have that many servers."""

    def drop_quota(self, project: str) -> None:
        """Have a project follow the defaults again."""

    def hypervisors(self) -> list[str]:
        """Return the names of the hypervisors."""

    def service(self, host: str) -> tuple[str, str]:
        """Return the status of a host's compute service, and the reason that was given for it."""

    def disable_service(self, host: str, reason: str) -> None:
        """Let nothing more be placed on a host."""

    def enable_service(self, host: str) -> None:
        """Let servers be placed on a host again."""

    def delete(self, wish: Wish, server: str) -> list[str]:
        """Delete the server and all of its name; returns the ids of the servers that there are then."""


def await_status(client: ApiClient, server: str, status: str) -> None:
    """Wait until a client shows the server in a status."""
    until(lambda: client.show(server).status == status, IDLE_S, f"{server} to be {status}")


@dataclass(frozen=True)
class OpenstackCommand:
    """The `openstack` command."""

    cloud: Cloud

    def _tell(self, *words: str, form: str = "", as_admin: bool = False) -> Any:
        return self.cloud.openstack(*NEWEST, *words, form=form, cloud=ADMIN if as_admin else "computecloud")

    def _list(self, *words: str, column: str = "Name", as_admin: bool = False) -> list[str]:
        return [row[column] for row in self._tell(*words, form="json", as_admin=as_admin)]

    def create_key_pair(self, name: str, public_key: Path) -> list[str]:
        self._tell("keypair", "create", "--public-key", str(public_key), name)
        return self._list("keypair", "list")

    def create_flavor(self, name: str, ram_mib: int) -> list[str]:
        self._tell("flavor", "create", "--ram", str(ram_mib), "--disk", "1", name, as_admin=True)
        return self._list("flavor", "list")

    def create_security_group(self, name: str) -> None:
        self._tell("security", "group", "create", name)
        self._tell("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "22", name)

    def let_pings_in(self, group: str) -> None:
        self._tell("security", "group", "rule", "create", "--protocol", "icmp", group)

    def create(self, wish: Wish) -> str:
        properties = [word for item in wish.metadata.items() for word in ("--property", "=".join(item))]
        made = self._tell(
            "server", "create", "--image", "demo", "--flavor", wish.name, "--network", "public",
            "--key-name", wish.name, "--security-group", wish.name, "--use-config-drive",
            "--user-data", str(wish.user_data), "--description", wish.description, "--tag", wish.tag,
            *properties, "--wait", wish.name, form="json",
        )  # fmt: skip
        return str(made["id"])

    def show(self, server: str) -> Shown:
        shown = self._tell("server", "show", server, form="json")
        return Shown(
            **{key: shown[key] for key in ("id", "name", "status", "description", "tags", "addresses")},
            metadata=shown["properties"],
            locked=shown["locked"],
        )

    def act(self, server: str, verb: str) -> None:
        name, *how = verb.split()
        self._tell("server", name, *(f"--{word}" for word in how), server)

    def describe(self, server: str, name: str, description: str) -> None:
        self._tell("server", "set", "--name", name, "--description", description, server)

    def set_metadata(self, server: str, key: str, value: str) -> None:
        self._tell("server", "set", "--property", f"{key}={value}", server)

    def unset_metadata(self, server: str, key: str) -> None:
        self._tell("server", "unset", "--property", key, server)

    def set_tag(self, server: str, tag: str) -> None:
        self._tell("server", "set", "--tag", tag, server)

    def console_log(self, server: str) -> str:
        return str(self._tell("console", "log", "show", server))

    def actions(self, server: str) -> list[str]:
        return self._list("server", "event", "list", server, column="Action")

    def instances_quota(self, project: str) -> int:
        rows = self._tell("quota", "show", "--compute", project, form="json", as_admin=True)
        return next(int(row["Limit"]) for row in rows if row["Resource"] == "instances")

    def set_instances_quota(self, project: str, limit: int) -> None:
        self._tell("quota", "set", "--instances", str(limit), project, as_admin=True)

    def drop_quota(self, project: str) -> None:
        self._tell("quota", "delete", "--compute", project, as_admin=True)

    def hypervisors(self) -> list[str]:
        return self._list("hypervisor", "list", column="Hypervisor Hostname", as_admin=True)

    def service(self, host: str) -> tuple[str, str]:
        words = ("compute", "service", "list", "--long", "--service", "nova-compute", "--host", host)
        [row] = self._tell(*words, form="json", as_admin=True)
        return row["Status"], row["Disabled Reason"] or ""

    def disable_service(self, host: str, reason: str) -> None:
        words = ("--disable", "--disable-reason", reason, host, "nova-compute")
        self._tell("compute", "service", "set", *words, as_admin=True)

    def enable_service(self, host: str) -> None:
        self._tell("compute", "service", "set", "--enable", host, "nova-compute", as_admin=True)

    def delete(self, wish: Wish, server: str) -> list[str]:
        self._tell("server", "delete", "--wait", server)
        self._tell("security", "group", "delete", wish.name)
        self._tell("keypair", "delete", wish.name)
        self._tell("flavor", "delete", wish.name, as_admin=True)
        return self._list("server", "list", column="ID")


class Openstacksdk:
    """openstacksdk."""

    def __init__(self, cloud: Cloud) -> None:
        self._config = openstack.config.OpenStackConfig(config_files=[str(cloud.state / "clouds.yaml")])

    @cached_property
    def _tenant(self) -> Any:
        return openstack.connection.Connection(config=self._config.get_one("computecloud"))

    @cached_property
    def _admin(self) -> Any:
        return openstack.connection.Connection(config=self._config.get_one(ADMIN))

    def create_key_pair(self, name: str, public_key: Path) -> list[str]:
        self._tenant.create_keypair(name, public_key.read_text())
        return [pair.name for pair in self._tenant.compute.keypairs()]

    def create_flavor(self, name: str, ram_mib: int) -> list[str]:
        self._admin.create_flavor(name, ram_mib, 1, 1)
        return [flavor.name for flavor in self._tenant.compute.flavors()]

    def create_security_group(self, name: str) -> None:
        self._tenant.create_security_group(name, "")
        self._tenant.create_security_group_rule(name, 22, 22, "tcp", "0.0.0.0/0")

    def let_pings_in(self, group: str) -> None:
        self._tenant.create_security_group_rule(group, protocol="icmp")

    def create(self, wish: Wish) -> str:
        made = self._tenant.create_server(
            wish.name, image="demo", flavor=wish.name, network="public", auto_ip=False,
            key_name=wish.name, security_groups=[wish.name], config_drive=True,
            userdata=wish.user_data.read_text(),
            description=wish.description, tags=[wish.tag], meta=wish.metadata, wait=True,
        )  # fmt: skip
        return str(made.id)

    def show(self, server: str) -> Shown:
        shown = self._tenant.compute.get_server(server)
        addresses = {
            network: [entry["addr"] for entry in entries] for network, entries in shown.addresses.items()
        }
        known = (shown.id, shown.name, shown.status, shown.description, shown.metadata, shown.tags)
        return Shown(*known, shown.is_locked, addresses)

    def act(self, server: str, verb: str) -> None:
        name, *how = verb.split()
        getattr(self._tenant.compute, f"{name}_server")(server, *(word.upper() for word in how))

    def describe(self, server: str, name: str, description: str) -> None:
        self._tenant.compute.update_server(server, name=name, description=description)

    def set_metadata(self, server: str, key: str, value: str) -> None:
        self._tenant.compute.set_server_metadata(server, **{key: value})

    def unset_metadata(self, server: str, key: str) -> None:
        self._tenant.compute.delete_server_metadata(server, [key])

    def set_tag(self, server: str, tag: str) -> None:
        self._tenant.compute.add_tag_to_server(server, tag)

    def console_log(self, server: str) -> str:
        return str(self._tenant.get_server_console(server))

    def actions(self, server: str) -> list[str]:
        return [action.action for action in self._tenant.compute.server_actions(server)]

    def instances_quota(self, project: str) -> int:
        return int(self._admin.compute.get_quota_set(self._project(project)).instances)

    def set_instances_quota(self, project: str, limit: int) -> None:
        self._admin.compute.update_quota_set(self._project(project), instances=limit)

    def drop_quota(self, project: str) -> None:
        self._admin.compute.revert_quota_set(self._project(project))

    def _project(self, name: str) -> Any:
        return self._admin.identity.find_project(name, ignore_missing=False)

    def hypervisors(self) -> list[str]:
        return [hypervisor.name for hypervisor in self._admin.compute.hypervisors()]

    def _service(self, host: str) -> Any:
        [service] = self._admin.compute.services(binary="nova-compute", host=host)
        return service

    def service(self, host: str) -> tuple[str, str]:
        service = self._service(host)
        return service.status, service.disabled_reason or ""

    def disable_service(self, host: str, reason: str) -> None:
        self._admin.compute.disable_service(self._service(host), disabled_reason=reason)

    def enable_service(self, host: str) -> None:
        self._admin.compute.enable_service(self._service(host))

    def delete(self, wish: Wish, server: str) -> list[str]:
        self._tenant.delete_server(server, wait=True)
        self._tenant.delete_security_group(wish.name)
        self._tenant.delete_keypair(wish.name)
        self._admin.delete_flavor(wish.name)
        servers = [server.id for server in self._tenant.compute.servers()]
        self._tenant.close()
        self._admin.close()
        return servers
