"""SSH to a real sshd of the tests' own: strict keys, commands with their status and input, files whole and private."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hypervisors import ssh
from hypervisors.ssh import CommandFailed, Remote, RemoteError, Target, UnknownHostKey

SSHD = shutil.which("sshd", path="/usr/sbin:/sbin")
pytestmark = pytest.mark.skipif(SSHD is None or os.geteuid() != 0, reason="needs openssh-server, and root")


@dataclass
class Server:
    """One sshd on this machine, its key, and the key that it lets in."""

    folder: Path
    port: int

    @property
    def target(self) -> Target:
        return Target(getpass.getuser(), "127.0.0.1", self.port, self.folder / "key")

    @property
    def fingerprint(self) -> str:
        shown = subprocess.run(
            ["ssh-keygen", "-lf", str(self.folder / "host.pub")], capture_output=True, text=True, check=True
        )
        return shown.stdout.split()[1]


def make_key(path: Path) -> None:
    path.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("ssh")
    for name in ("host", "key"):
        make_key(folder / name)
    shutil.copy(folder / "key.pub", folder / "authorized_keys")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    Path("/run/sshd").mkdir(exist_ok=True)  # sshd's own folder, empty
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized_keys\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPidFile none\n"
    )
    process = subprocess.Popen(
        [str(SSHD), "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    yield Server(folder, port)
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def remote(server: Server) -> Iterator[Remote]:
    with ssh.connect(server.target, known_hosts=server.folder / "known", accept_new=True) as connected:
        yield connected


def test_an_unknown_key_is_refused_with_its_fingerprint_and_not_kept(server: Server, tmp_path: Path):
    with pytest.raises(UnknownHostKey) as caught:
        ssh.connect(server.target, known_hosts=tmp_path / "none", accept_new=False)
    assert caught.value.fingerprint == server.fingerprint
    assert not (tmp_path / "none").exists()


def test_a_new_key_is_kept_where_that_is_asked_for_and_known_from_then_on(server: Server, tmp_path: Path):
    known = tmp_path / "ssh" / "known"
    with ssh.connect(server.target, known_hosts=known, accept_new=True) as first:
        assert (first.is_new, first.fingerprint) == (True, server.fingerprint)
    with ssh.connect(server.target, known_hosts=known, accept_new=False) as second:
        assert not second.is_new


@pytest.mark.parametrize("accept_new", [False, True])
def test_a_changed_key_is_refused_in_any_case(server: Server, tmp_path: Path, accept_new: bool):
    make_key(tmp_path / "other")
    kind, key, *_ = (tmp_path / "other.pub").read_text().split()
    before = f"[127.0.0.1]:{server.port} {kind} {key}\n"
    (tmp_path / "known").write_text(before)
    with pytest.raises(RemoteError, match="another key than the known one"):
        ssh.connect(server.target, known_hosts=tmp_path / "known", accept_new=accept_new)
    assert (tmp_path / "known").read_text() == before


def test_who_is_not_let_in_is_told_so(server: Server, tmp_path: Path):
    make_key(tmp_path / "strange")
    target = Target("root", "127.0.0.1", server.port, tmp_path / "strange")
    with pytest.raises(RemoteError, match="does not let root in"):
        ssh.connect(target, known_hosts=tmp_path / "known", accept_new=True)


def test_a_machine_that_is_not_there_is_told_in_words(tmp_path: Path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        target = Target("root", "127.0.0.1", probe.getsockname()[1], None)
        with pytest.raises(RemoteError, match="cannot be reached by SSH"):
            ssh.connect(target, known_hosts=tmp_path / "known", accept_new=True)


def test_a_command_says_what_it_prints_and_a_failed_one_its_status_and_last_words(remote: Remote):
    assert remote.run("echo \"it's $HOME\"; printf 'a\\nb'") == f"it's {Path.home()}\na\nb"
    with pytest.raises(CommandFailed, match="ended with 3: the reason") as caught:
        remote.run("echo the reason >&2; exit 3")
    assert caught.value.status == 3
    assert (remote.succeeds("true"), remote.succeeds("false")) == (True, False)


def test_large_input_arrives_whole(remote: Remote, tmp_path: Path):
    content = os.urandom(5_000_000)
    (tmp_path / "large").write_bytes(content)
    with (tmp_path / "large").open("rb") as stdin:
        assert remote.run("wc -c", stdin=stdin).strip() == str(len(content))
    remote.run(f"cat >{tmp_path}/copy", stdin=content)
    assert (tmp_path / "copy").read_bytes() == content


def test_a_command_that_says_nothing_for_too_long_is_given_up(remote: Remote):
    with pytest.raises(RemoteError, match="said nothing for"):
        remote.run("sleep 60", timeout_s=0.5)


def test_a_file_is_written_once_private_and_whole(remote: Remote, tmp_path: Path):
    path = tmp_path / "a folder" / "it's secret"
    assert remote.read(str(path)) is None
    assert remote.write(str(path), b"one\n", mode=0o600) is True
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"one\n", 0o600)
    assert remote.write(str(path), b"one\n", mode=0o600) is False
    path.chmod(0o644)
    assert remote.write(str(path), b"one\n", mode=0o600) is True
    assert path.stat().st_mode & 0o777 == 0o600
    assert remote.read(str(path)) == "one\n"
    assert [file.name for file in path.parent.iterdir()] == [path.name]
