"""Settings of an installation: where they come from, and that they come back as they were written."""

import os
import stat
import subprocess

import pytest

from computecloud.cli.failures import Failure
from computecloud.cli.installation import HOSTS, Installation, enter_existing, find
from computecloud.cli.up import settings_of

NOTHING = {"DRIVER": None, HOSTS: None, "FAKE_NODES": None, "WEB_PORT": None}


def test_an_option_comes_before_the_environment_before_what_was_written_before_the_default(
    installation: Installation, bare_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.write_settings({"DRIVER": "fake", "WEB_PORT": "1", "REGION": "written", "ZONE": "written"})
    monkeypatch.setenv("COMPUTECLOUD_REGION", "environment")
    monkeypatch.setenv("COMPUTECLOUD_WEB_PORT", "2")
    settings = settings_of(installation, {**NOTHING, "WEB_PORT": "3"})
    assert (settings["WEB_PORT"], settings["REGION"], settings["ZONE"]) == ("3", "environment", "written")
    assert settings["WEB_HOST"] == "127.0.0.1"
    assert settings["STATE_DIR"] == str(installation.state)


def test_settings_come_back_as_they_were_written_and_only_their_owner_reads_them(
    installation: Installation, bare_environment: None
) -> None:
    odd = {"SECRET_KEY": 'a\'b "c" $HOME \\ #d', "DATABASE_URL": "postgresql://u:p%40@h/d"}
    installation.write_settings(odd)
    assert installation.settings() == {**odd, "STATE_DIR": str(installation.state)}
    assert stat.S_IMODE(installation.settings_file.stat().st_mode) == 0o600
    script = f'. {installation.settings_file}; printf %s "$COMPUTECLOUD_SECRET_KEY"'
    assert (
        subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
        == odd["SECRET_KEY"]
    )


def test_the_secret_key_is_made_once(installation: Installation, bare_environment: None) -> None:
    first = settings_of(installation, NOTHING)
    installation.write_settings(first)
    assert settings_of(installation, NOTHING)["SECRET_KEY"] == first["SECRET_KEY"] != ""


def test_the_driver_of_a_cloud_does_not_change(installation: Installation, bare_environment: None) -> None:
    installation.write_settings({"DRIVER": "fake"})
    with pytest.raises(Failure, match="made with --driver fake"):
        settings_of(installation, {**NOTHING, "DRIVER": "libvirt"})


def test_fake_hosts_are_refused_with_real_guests(installation: Installation, bare_environment: None) -> None:
    with pytest.raises(Failure, match="are for fake hosts"):
        settings_of(installation, {**NOTHING, HOSTS: "2"})


def test_the_state_folder_is_the_options_then_the_environments(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPUTECLOUD_STATE_DIR", "/elsewhere")
    assert find(str(installation.state)) == installation
    assert str(find().state) == "/elsewhere"


def test_a_command_without_a_cloud_says_how_to_make_one(installation: Installation) -> None:
    with pytest.raises(Failure, match="there is no cloud") as caught:
        enter_existing(str(installation.state))
    assert caught.value.advice == "run bin/up"


def test_processes_do_not_inherit_djangos_settings_nor_what_slows_their_start(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "computecloud.settings")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    environment = installation.environment({"REGION": "r"})
    assert "DJANGO_SETTINGS_MODULE" not in environment
    assert "PYTHONDONTWRITEBYTECODE" not in environment, "each restart would compile everything"
    assert environment["COMPUTECLOUD_REGION"] == "r"
    assert environment["PATH"] == os.environ["PATH"]


def test_a_command_is_quiet_and_what_it_starts_is_not(
    installation: Installation, bare_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPUTECLOUD_STATE_DIR", str(installation.state))
    monkeypatch.setenv("COMPUTECLOUD_LOG_LEVEL", "info")  # put back in the end, whatever the command sets
    monkeypatch.delenv("COMPUTECLOUD_LOG_LEVEL")
    installation.write_settings({})
    _, settings = enter_existing()
    assert os.environ["COMPUTECLOUD_LOG_LEVEL"] == "warning"
    assert "COMPUTECLOUD_LOG_LEVEL" not in installation.environment(settings)
    monkeypatch.setenv("COMPUTECLOUD_LOG_LEVEL", "debug")
    _, settings = enter_existing()
    assert os.environ["COMPUTECLOUD_LOG_LEVEL"] == "debug"
    assert installation.environment(settings)["COMPUTECLOUD_LOG_LEVEL"] == "debug"
