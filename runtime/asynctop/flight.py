"""The flight recorder: when a loop stalls for too long, the last polls of all tasks go into a file.

All that it does until then is to keep a trace: the core has the last polls in its ring. The file is a
recording of one moment: what a new console would be told, and these polls. The publisher's thread writes it,
a piece at a time, under another name until it is whole.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from asynctop.core.contract import Core, Cursor
from asynctop.publisher.news import News
from asynctop_protocol import Connection, Hello, Role, Stall
from asynctop_protocol.recordings import LABEL_BYTES, label, stored

MOST_FILES = 10
"""Kept in the directory, of all processes: the newest ones. Each has some megabytes."""

PAUSE_NS = 60_000_000_000
"""From one file to the next: a program that stalls all the time is to have little to do with it."""

_NAME = re.compile(r"asynctop-\d{8}T\d{6}-\d+\.rec(\.part)?")
"""Who was killed has left a part."""


class FlightRecorder:
    """Writes files into a directory when there are stalls of `limit_ns` and more.

    Raises OSError where the directory cannot be made or written to."""

    def __init__(self, directory: str, limit_ns: int) -> None:
        self._directory = os.path.abspath(directory)  # the program may go elsewhere
        self._limit_ns = limit_ns
        self._stall = 0
        """The last one that was long enough."""
        self._wanted = False
        self._next_ns = 0
        self._keeper: Cursor | None = None
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(
                f"expected a directory to write flight recordings to, found a file: {directory}"
            ) from None
        if not os.access(self._directory, os.W_OK | os.X_OK):
            raise PermissionError(
                f"expected a directory to write flight recordings to, cannot write to {directory}"
            )

    def start(self, core: Core) -> None:
        """Begin to keep what there may be to write. Before the publisher's thread starts."""
        self._keeper = core.cursor()
        self._keeper.trace(0)
        self._stall, self._wanted = 0, False  # after a fork they are numbered anew

    def stalled(self, stall: Stall) -> None:
        """A poll is past the stall threshold, still or no more. On the stall watcher's thread."""
        if stall.duration_ns >= self._limit_ns and stall.id != self._stall:
            self._stall, self._wanted = stall.id, True

    def proceed(self, core: Core, hello: Callable[[], Hello], news: Sequence[News]) -> None:
        """Write a file if one is wanted. On the publisher's thread. Raises OSError where that fails."""
        if not self._wanted:
            return
        self._wanted = False
        if time.monotonic_ns() >= self._next_ns:
            self._next_ns = time.monotonic_ns() + PAUSE_NS
            self._write(_pieces(core, hello(), news))

    def _write(self, pieces: Iterator[bytes]) -> None:
        for name in sorted(filter(_NAME.fullmatch, os.listdir(self._directory)))[: 1 - MOST_FILES]:
            with suppress(FileNotFoundError):  # another process did it
                os.unlink(os.path.join(self._directory, name))
        name = f"asynctop-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.rec"
        path = os.path.join(self._directory, name)
        part = f"{path}.part"
        try:
            # For the user's eyes alone, as the socket is.
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(bytes(LABEL_BYTES))
                length = sum(map(file.write, stored(pieces)))
                now = time.monotonic_ns()
                file.seek(0)
                file.write(label(True, now, now, length))
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(part)
            raise


def _pieces(core: Core, hello: Hello, news: Sequence[News]) -> Iterator[bytes]:
    """What a new console is told that wants all the polls there are."""
    yield Connection(Role.RUNTIME).send(hello)
    for each in news:
        yield each.since(0)[1]
    cursor = core.cursor()
    cursor.trace(-1)
    try:
        core.drain()
        yield from cursor.frames()
    finally:
        cursor.trace(None)
