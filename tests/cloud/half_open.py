"""A proxy that stops carrying connections without closing them: each side believes that the other still listens."""

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field

CHUNK = 65_536


@dataclass
class HalfOpenProxy:
    """Carries connections to a port of this machine.

    dark: new connections are taken and not carried. swallowed: how often something came that was carried no further.
    """

    behind: int
    dark: bool = False
    swallowed: int = 0
    _carried: "list[_Carried]" = field(default_factory=list)
    _listener: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        """Listen."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Return the port that it listens on."""
        return int(self._listener.getsockname()[1])

    def half_open(self) -> int:
        """Carry nothing more of the connections that there are, for good; returns how many."""
        caught = [one for one in self._carried if not one.is_half_open]
        for one in caught:
            one.is_half_open = True
        return len(caught)

    def close(self) -> None:
        """End it with all that it carries."""
        self._listener.close()
        for one in self._carried:
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with suppress(OSError):
                    self._carried.append(_Carried(self, client))


class _Carried:
    """One connection, carried both ways by a thread each."""

    def __init__(self, proxy: HalfOpenProxy, client: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self.is_half_open = proxy.dark
        self._server = socket.create_connection(("127.0.0.1", proxy.behind))
        for ends in ((client, self._server), (self._server, client)):
            threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def close(self) -> None:
        """End both sides."""
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(CHUNK):
                if self.is_half_open:
                    self._proxy.swallowed += 1
                else:
                    sink.sendall(chunk)
        if not self.is_half_open:
            self.close()
