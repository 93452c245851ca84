"""The group of commands. Each command's module is loaded when it is asked for, so that none pays for another."""

import sys
from importlib import import_module

import click

COMMANDS = {
    "up": "Start the cloud, and make what a newcomer needs.",
    "down": "Stop the cloud; with --purge remove its data.",
    "status": "Show processes and addresses.",
    "doctor": "Check every invariant.",
    "backup": "Write database, settings and, if asked for, images into one file.",
    "restore": "Bring a backup back.",
    "prepare": "Make or change the tables, and what a cloud begins with; `up` does it by itself.",
    "web": "Run the web server in the foreground.",
    "worker": "Run a worker process in the foreground.",
    "beat": "Run the periodic ringing in the foreground.",
    "metadata": "Run this host's metadata service in the foreground.",
    "operation": "List, show, cancel or hurry what the engine does.",
    "host": "List, show, enable, disable, enroll or remove hosts.",
    "explain": "Say why a server is where it is, or why it is nowhere.",
    "token": "Rotate the keys that tokens are signed with.",
    "audit": "List the audits, or run one now.",
    "here": "Start or stop the host worker of this machine, which is enrolled in a cloud elsewhere.",
    "timeline": "Show the steps of a server's last operation.",
}


class Commands(click.Group):
    """Commands by name, each from the module computecloud.cli.<name>, where it is called `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 — click's signature
        """Return the names in the order of their use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"computecloud.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def computecloud() -> None:
    """ComputeCloud on this machine. Its state is in var/, or in COMPUTECLOUD_STATE_DIR."""


def main() -> None:
    """Run the command line; a failure is told in its own words."""
    sys.exit(computecloud(prog_name="computecloud"))
