"""Commands on another machine over SSH, with strict host keys: how a remote hypervisor is set up."""

import base64
import hashlib
import logging
import shlex
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import paramiko

CONNECT_S = 15.0
COMMAND_S = 120.0
CHUNK_BYTES = 1 << 18


class RemoteError(Exception):
    """The machine cannot be reached, does not let us in, or a command there failed; the message is in words."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UnknownHostKey(RemoteError):
    """Nobody said yet that this key is the machine's own."""

    def __init__(self, machine: str, fingerprint: str) -> None:
        super().__init__(f"the key of {machine} is not known: {fingerprint}")
        self.fingerprint = fingerprint


class CommandFailed(RemoteError):
    """A command ended with another status than 0."""

    def __init__(self, machine: str, status: int, output: str) -> None:
        last = "; ".join(output.strip().splitlines()[-3:]) or "it said nothing"
        super().__init__(f"a command on {machine} ended with {status}: {last}")
        self.status = status
        self.output = output


@dataclass(frozen=True, slots=True)
class Target:
    """A machine and who logs in there; identity is a private key's file, or the agent's and the usual ones."""

    user: str
    machine: str
    port: int = 22
    identity: Path | None = None

    def __str__(self) -> str:
        return f"{self.user}@{self.machine}" + (f":{self.port}" if self.port != 22 else "")


class Remote:
    """A connection to one machine. Every command runs as root there: by `sudo -n` where the user is another."""

    def __init__(self, client: paramiko.SSHClient, target: Target, *, fingerprint: str, is_new: bool) -> None:
        self._client = client
        self.target = target
        self.fingerprint = fingerprint
        self.is_new = is_new  # its key was not known before

    def __enter__(self) -> "Remote":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._client.close()

    def run(self, script: str, *, stdin: bytes | IO[bytes] = b"", timeout_s: float = COMMAND_S) -> str:
        """Run a POSIX shell script as root and return what it prints; raises CommandFailed, RemoteError."""
        sudo = "" if self.target.user == "root" else "sudo -n "
        transport = self._client.get_transport()
        if transport is None:
            raise RemoteError(f"the connection to {self.target.machine} is closed")
        try:
            with transport.open_session(timeout=CONNECT_S) as channel:
                channel.settimeout(timeout_s)
                channel.set_combine_stderr(True)
                channel.exec_command(f"{sudo}sh -c {shlex.quote(script)}")
                _send(channel, stdin)
                output: str = channel.makefile("rb").read().decode(errors="replace")
                status = channel.recv_exit_status()
        except TimeoutError as error:
            raise RemoteError(f"{self.target.machine} said nothing for {timeout_s:.0f} s") from error
        except (paramiko.SSHException, OSError) as error:
            raise RemoteError(f"the connection to {self.target.machine} broke: {error}") from error
        if status:
            raise CommandFailed(self.target.machine, status, output)
        return output

    def succeeds(self, script: str) -> bool:
        """Tell whether a script ends with status 0; raises RemoteError where it cannot be run."""
        try:
            self.run(script)
        except CommandFailed:
            return False
        return True

    def read(self, path: str) -> str | None:
        """Return a file's text; None where there is none."""
        quoted = shlex.quote(path)
        text = self.run(f"if [ -f {quoted} ]; then printf y; cat {quoted}; fi")
        return text[1:] if text else None

    def write(self, path: str, content: bytes, *, mode: int = 0o644) -> bool:
        """Have a file hold this, whole or not at all; returns whether it was changed. The mode is set before."""
        quoted, digest = shlex.quote(path), hashlib.sha256(content).hexdigest()
        there = f"[ \"$(sha256sum {quoted} 2>/dev/null | cut -d' ' -f1)\" = {digest} ]"
        if self.succeeds(f'{there} && [ "$(stat -c %a {quoted})" = {mode:o} ]'):
            return False
        part = shlex.quote(f"{path}.part")
        self.run(
            f'mkdir -p "$(dirname {quoted})" && rm -f {part} && umask 077 && : >{part} && '
            f"chmod {mode:o} {part} && cat >{part} && mv {part} {quoted}",
            stdin=content,
        )
        return True


def connect(target: Target, *, known_hosts: Path, accept_new: bool) -> Remote:
    """Log in; raises UnknownHostKey where the key is not in known_hosts, unless new ones are accepted and kept there.

    A key that differs from the known one is refused in any case: RemoteError.
    """
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # its errors are raised too
    client = paramiko.SSHClient()
    if known_hosts.exists():
        client.load_host_keys(str(known_hosts))
    policy = _Policy(known_hosts if accept_new else None)
    client.set_missing_host_key_policy(policy)
    try:
        client.connect(
            target.machine,
            port=target.port,
            username=target.user,
            key_filename=str(target.identity) if target.identity else None,
            look_for_keys=target.identity is None,
            allow_agent=target.identity is None,
            timeout=CONNECT_S,
            banner_timeout=CONNECT_S,
            auth_timeout=CONNECT_S,
        )
    except paramiko.BadHostKeyException as error:
        known, shown = fingerprint(error.expected_key), fingerprint(error.key)
        words = f"{target.machine} shows another key than the known one: {shown}, not {known}; somebody may be between"
        raise RemoteError(words) from error
    except paramiko.AuthenticationException as error:
        raise RemoteError(f"{target.machine} does not let {target.user} in: {error}") from error
    except (paramiko.SSHException, OSError) as error:
        raise RemoteError(f"{target} cannot be reached by SSH: {error}") from error
    transport = client.get_transport()
    if transport is None:
        raise RemoteError(f"{target} cannot be reached by SSH: it closed the connection")
    key = transport.get_remote_server_key()
    return Remote(client, target, fingerprint=fingerprint(key), is_new=policy.met_new)


def fingerprint(key: paramiko.PKey) -> str:
    """Return a key's fingerprint as ssh-keygen shows it."""
    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


class _Policy(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # paramiko is untyped
    """Keeps a key that is not known in a file, or refuses it where there is none."""

    def __init__(self, keep_in: Path | None) -> None:
        self._keep_in = keep_in
        self.met_new = False

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Keep or refuse the key."""
        if self._keep_in is None:
            raise UnknownHostKey(hostname, fingerprint(key))
        self.met_new = True
        client.get_host_keys().add(hostname, key.get_name(), key)
        self._keep_in.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        client.save_host_keys(str(self._keep_in))


def _send(channel: paramiko.Channel, stdin: bytes | IO[bytes]) -> None:
    if isinstance(stdin, bytes):
        channel.sendall(stdin)
    else:
        while chunk := stdin.read(CHUNK_BYTES):
            channel.sendall(chunk)
    channel.shutdown_write()
