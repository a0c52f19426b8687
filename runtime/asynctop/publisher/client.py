"""One connected console, seen from the publisher: what it asks, and what it is told besides its batches."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import suppress

from asynctop.core.contract import Outlet
from asynctop.publisher.inspector import Inspection
from asynctop.publisher.news import News
from asynctop.publisher.owned import identity, release
from asynctop_protocol import (
    Chains,
    Connection,
    Hello,
    Inspect,
    Problem,
    ProtocolError,
    Role,
    Subscribe,
    Trace,
    Watch,
)

SHORTEST_NS = 20_000_000
"""Fifty batches a second are as many as a screen can show."""

LONGEST_NS = 10_000_000_000
"""At ten seconds a console still looks alive."""

READ_BYTES = 64 * 1024


class Gone(Exception):  # noqa: N818 - an event rather than an error
    """The console has closed the connection, or made it unusable."""


class Client:
    """A console."""

    def __init__(
        self,
        sock: socket.socket,
        hello: Hello,
        outlet: Outlet,
        news: Sequence[News],
    ) -> None:
        self.sock = sock
        self._ours = identity(sock)
        sock.setblocking(False)
        self.outlet = outlet
        self.question: Inspect | None = None
        """One that has not been taken up yet; a newer one replaces it."""
        self.inspection: Inspection | None = None
        """The answer in the making."""
        self._news = news
        self._told = [0] * len(news)
        """Of each, the version that it has been told."""
        self.subscribed = False
        self.since_ns = time.monotonic_ns()
        """When it connected."""
        self._refused = False
        self.finishing = False
        """Whether its last batch is on its way, or gone."""
        self._connection = Connection(Role.RUNTIME)
        self._answer: Chains | None = None
        """The slice of it that is to be sent next."""
        # The hello goes out whatever follows: even a refusal makes no sense without it.
        outlet.put(self._connection.send(hello))

    def readable(self) -> None:
        """Take what has arrived. Raises Gone."""
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise Gone from error
        if not data:
            raise Gone
        if self._refused:
            return
        try:
            messages = self._connection.receive(data)
        except ProtocolError as error:
            self.refuse(str(error))
            return
        for message in messages:
            if isinstance(message, Subscribe):
                self.subscribed = True
                self.proceed()  # the news that there were belong to the first batch
                self.outlet.subscribe(min(max(message.interval_ns, SHORTEST_NS), LONGEST_NS))
            elif isinstance(message, Inspect):
                self.question = message
            elif isinstance(message, Watch):
                self.outlet.watch(message.tasks)
            elif isinstance(message, Trace):
                self.outlet.trace(message.after)
            elif isinstance(message, Problem):
                raise Gone

    def close(self) -> None:
        """Close the connection."""
        self.outlet.close()
        release(self.sock, self._ours)

    def refuse(self, text: str) -> None:
        """Tell the console why this ends, and end it."""
        if not self._refused:
            self._refused = True
            self.outlet.put(self._connection.send(Problem(text)), last=True)

    def answer(self, inspection: Inspection, chains: Chains) -> None:
        """Send a slice of the answer to its question, unless it has asked another one meanwhile."""
        if inspection is self.inspection:
            self._answer = chains

    def finish(self) -> None:
        """Send one batch more, once all news are told, and then nothing. To be called again and again, of a
        console that has subscribed."""
        behind = any(
            news.due_ns() is not None or news.since(told)[1]
            for news, told in zip(self._news, self._told, strict=True)
        )
        if not self.finishing and not behind:
            self.finishing = True
            self.outlet.finish()

    def said_all(self) -> None:
        """Say that nothing more comes, and leave it to the console to close: one that writes to a connection
        that is closed loses what it has not read yet. To be called again and again."""
        if identity(self.sock) == self._ours:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)

    def due_ns(self) -> int | None:
        """When there will be more to tell it, though nothing happens until then."""
        if not self.subscribed or self._refused:
            return None
        return min((due for news in self._news if (due := news.due_ns()) is not None), default=None)

    def proceed(self) -> None:
        """Tell it what there is to tell besides its batches, as far as it reads."""
        if self._refused:
            return
        if self.subscribed:
            for number, news in enumerate(self._news):
                version, frames = news.since(self._told[number])
                if not frames or self.outlet.put(frames):
                    self._told[number] = version
        if self._answer is not None and self.outlet.put(self._connection.send(self._answer)):
            answer, self._answer = self._answer, None
            if self.inspection is not None and not answer.done:
                self.inspection.proceed()
