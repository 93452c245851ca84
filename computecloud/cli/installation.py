"""An installation on this machine: its state folder, and the settings that its processes are given.

The settings are environment variables. `up` writes those that it was given to var/settings.env, so that every later
command and process finds the same; a variable that is set when a command is called comes first.
"""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from computecloud.cli.failures import Failure

ROOT = Path(__file__).resolve().parent.parent.parent
PREFIX = "COMPUTECLOUD_"
# Of what a shell may have set: a worker that had to compile all our code whenever it is started again, a third of the
# time that it takes, would keep what it held waiting for longer.
NOT_INHERITED = ("DJANGO_SETTINGS_MODULE", "PYTHONDONTWRITEBYTECODE")
HOSTS = "UP_HOSTS"  # how many host workers there are; a setting of `up` alone
PARTS = "UP_PARTS"  # "host": this machine has a host worker alone, of a cloud that is elsewhere


@dataclass(frozen=True, slots=True)
class Installation:
    """The files of one installation; several live side by side where their state folders differ."""

    state: Path

    @property
    def run(self) -> Path:
        """Return the folder of sockets and process ids."""
        return self.state / "run"

    @property
    def log(self) -> Path:
        """Return the folder of logs."""
        return self.state / "log"

    @property
    def settings_file(self) -> Path:
        """Return the file of the settings."""
        return self.state / "settings.env"

    @property
    def passwords_file(self) -> Path:
        """Return the file of the generated passwords."""
        return self.state / "passwords.txt"

    @property
    def clouds_file(self) -> Path:
        """Return the file that OpenStack clients read."""
        return self.state / "clouds.yaml"

    @property
    def key_file(self) -> Path:
        """Return the private key that logs in to the demo server."""
        return self.state / "demo_key"

    @property
    def is_default(self) -> bool:
        """Tell whether this is the installation in the checkout's own var/."""
        return self.state == ROOT / "var"

    def settings(self, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the settings without their prefix: those written down, and over them those of the environment."""
        environ = os.environ if environ is None else environ
        given = {key.removeprefix(PREFIX): value for key, value in environ.items() if key.startswith(PREFIX)}
        return {**self._written(), **given, "STATE_DIR": str(self.state)}

    def _written(self) -> dict[str, str]:
        if not self.settings_file.exists():
            return {}
        pairs = (word.partition("=") for word in shlex.split(self.settings_file.read_text(), comments=True))
        return {key.removeprefix(PREFIX): value for key, _, value in pairs}

    def write_settings(self, settings: Mapping[str, str]) -> None:
        """Keep the settings, for their owner's eyes only."""
        lines = [f"{PREFIX}{key}={shlex.quote(value)}\n" for key, value in sorted(settings.items())]
        write_private(self.settings_file, "# Written by `computecloud up`.\n" + "".join(lines))

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the installation's processes: ours, but of settings these alone."""
        inherited = {
            key: value
            for key, value in os.environ.items()
            if key not in NOT_INHERITED and not key.startswith(PREFIX)
        }
        # Few heaps instead of one a thread: 12 MiB less in all after 1,500 boots, at no cost that could be measured.
        return {
            "MALLOC_ARENA_MAX": "2",
            **inherited,
            **{f"{PREFIX}{key}": value for key, value in settings.items()},
        }

    def enter(self, settings: Mapping[str, str]) -> None:
        """Make this process one of the installation's; call it before anything reads computecloud.config."""
        os.environ.update({f"{PREFIX}{key}": value for key, value in settings.items()})


def find(state_dir: str | None = None) -> Installation:
    """Return the installation in state_dir, in COMPUTECLOUD_STATE_DIR, or in the checkout's var/."""
    return Installation(Path(state_dir or os.environ.get(f"{PREFIX}STATE_DIR") or ROOT / "var").resolve())


def enter_existing(state_dir: str | None = None) -> tuple[Installation, dict[str, str]]:
    """Return the installation and its settings, entered; raises Failure where there is none.

    A command's log goes to the screen, among what it has to say: only warnings, where no other level was asked for.
    """
    installation = find(state_dir)
    if not installation.settings_file.exists():
        raise Failure(f"there is no cloud in {installation.state}", advice="run bin/up")
    settings = installation.settings()
    installation.enter({"LOG_LEVEL": "warning", **settings})
    return installation, settings


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    part.write_text(text)
    part.replace(path)
