"""The service of a host: it listens in the namespace of every network that is here, and follows as they come and go.

It keeps nothing: which namespaces there are is read from the kernel and from what wiring remembers, and looked at again
when a name comes or goes, so whoever kills it may start it again at any moment. Its sockets would keep a namespace
alive whose name is gone, so they and all connections in it are closed then.
"""

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from instances.metadata import http
from instances.metadata.answers import Answer, Question
from instances.metadata.limits import Guest, Limits
from networking.wiring import namespaces
from networking.wiring.namespaces import Home

log = structlog.get_logger()

LOOK_S = 10.0  # how long a change stays unseen whose notice was lost
AGAIN_S = (0.02, 5.0)  # first and longest pause before what could not be done is tried again
THREADS = 4
BUSY = Answer(429, b"429 Too Many Requests")

Answering = Callable[[UUID, str, Question], Answer]


@dataclass(slots=True)
class _Open:
    """A namespace in which the service listens, and the connections in it."""

    home: Home
    server: asyncio.Server
    writers: set[asyncio.StreamWriter] = field(default_factory=set)


class Service:
    """Answers guests in all networks of the installation on this host; run() until stop()."""

    def __init__(self, tag: str, answering: Answering, *, address: str, port: int) -> None:
        self._tag, self._answering, self._address, self._port = tag, answering, address, port
        self._open: dict[str, _Open] = {}
        self._limits = Limits()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="answer")
        self._changed = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Follow the networks until told to stop; raises OSError where their names can not be watched."""
        watch = namespaces.watch()
        loop = asyncio.get_running_loop()
        loop.add_reader(watch, self._notice, watch)
        pause_s = AGAIN_S[0]
        try:
            while not self._stopping:
                self._changed.clear()
                whole = await self._follow()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S if whole else pause_s):
                        await self._changed.wait()
                pause_s = AGAIN_S[0] if whole or self._changed.is_set() else min(pause_s * 2, AGAIN_S[1])
        finally:
            loop.remove_reader(watch)
            os.close(watch)
            for name in list(self._open):
                self._close(name)
            self._threads.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        """Have run() end."""
        self._stopping = True
        self._changed.set()

    def _notice(self, watch: int) -> None:
        with suppress(BlockingIOError):
            os.read(watch, 65_536)
        self._changed.set()

    async def _follow(self) -> bool:
        """Listen where there is a namespace and nowhere else; False where something is still to be done."""
        present = namespaces.present(self._tag)
        for name, known in list(self._open.items()):
            if present.get(name) != known.home:
                self._close(name)
        whole = not namespaces.half_made(self._tag)
        for name, home in present.items():
            if name not in self._open and not await self._listen(home):
                whole = False
        return whole

    async def _listen(self, home: Home) -> bool:
        try:
            listening = namespaces.listen(home, self._address, self._port)
        except OSError as error:  # it went meanwhile, or whom we follow has not ended yet
            log.info("metadata.not_listening", network_id=str(home.network_id), error=str(error))
            return False

        async def on_connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(home, reader, writer)

        server = await asyncio.start_server(on_connect, sock=listening, limit=http.HEAD_MAX_BYTES)
        self._open[home.namespace] = _Open(home, server)
        log.info("metadata.listening", network_id=str(home.network_id))
        return True

    def _close(self, name: str) -> None:
        known = self._open.pop(name)
        known.server.close()
        for writer in known.writers:
            writer.transport.abort()
        log.info("metadata.closed", network_id=str(known.home.network_id))

    async def _serve(self, home: Home, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        known = self._open.get(home.namespace)
        peer = writer.get_extra_info("peername")
        if known is None or known.home != home or peer is None:
            writer.transport.abort()
            return
        guest: Guest = (home.network_id, peer[0])
        if not self._limits.connect(guest, time.monotonic()):
            writer.transport.abort()
            return
        known.writers.add(writer)
        try:
            await http.converse(reader, writer, lambda question: self._ask(guest, question))
            await self._end(writer)
        finally:
            writer.transport.abort()
            known.writers.discard(writer)
            self._limits.disconnect(guest, time.monotonic())

    async def _ask(self, guest: Guest, question: Question) -> Answer:
        if not self._limits.ask(guest, time.monotonic()):
            return BUSY
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._answering, *guest, question)

    @staticmethod
    async def _end(writer: asyncio.StreamWriter) -> None:
        """Close a connection when what was said has been sent, or nobody takes it."""
        writer.close()
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(http.REQUEST_S):
                await writer.wait_closed()
