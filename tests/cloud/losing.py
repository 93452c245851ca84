"""A proxy between a cloud and its PostgreSQL that carries one COMMIT, and loses the answer to it."""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

CHUNK = 65_536


@dataclass
class LosingProxy:
    """Stands where PostgreSQL's socket stood. Armed, it cuts a process's connection after the commit of a step."""

    path: Path
    mark: bytes = b"workers_steprun"  # written by the transaction that ends a step
    armed: int = 0
    fired: int = 0
    _moved: Path = field(init=False)
    _listener: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        """Move PostgreSQL's socket aside, and listen in its place."""
        self._moved = self.path.with_name("behind")
        self.path.rename(self._moved)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self.path.chmod(0o777)
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, pid: int) -> None:
        """Lose the answer to the next COMMIT by which this process ends a step."""
        self.armed, self.fired = pid, 0

    def close(self) -> None:
        """Put PostgreSQL's socket back; connections that are open stay so."""
        self._listener.close()
        self._moved.rename(self.path)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                _Carried(self, client)


class _Carried:
    """One connection, carried both ways by a thread each."""

    def __init__(self, proxy: LosingProxy, client: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        self._pid = struct.unpack("3i", credentials)[0]
        self._server = socket.socket(socket.AF_UNIX)
        self._ends_step = self._loses = False
        try:
            self._server.connect(str(proxy._moved))
        except OSError:
            client.close()
            return
        for carry in (self._to_server, self._to_client):
            threading.Thread(target=self._until_closed, args=(carry,), daemon=True).start()

    def _until_closed(self, carry: Callable[[], bool]) -> None:
        with suppress(OSError):
            while carry():
                pass
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _to_server(self) -> bool:
        chunk = self._client.recv(CHUNK)
        if b"BEGIN" in chunk:
            self._ends_step = False
        if self._proxy.mark in chunk:
            self._ends_step = True
        if b"COMMIT" in chunk and self._ends_step and self._pid == self._proxy.armed:
            self._loses, self._proxy.armed = True, 0
        self._server.sendall(chunk)
        return bool(chunk)

    def _to_client(self) -> bool:
        chunk = self._server.recv(CHUNK)
        if self._loses:
            self._proxy.fired += 1
            return False
        self._client.sendall(chunk)
        return bool(chunk)
