"""What consoles are told, for who is in the process itself: no socket, and no waiting for batches."""

from __future__ import annotations

import asyncio
from typing import Any

from asynctop.core.contract import Core
from asynctop.stalls import StallWatcher
from asynctop_protocol import Connection, Hello, Message, Role

SETTLE_S = 5.0
"""How long to wait for the stall watcher, which looks at what has ended some milliseconds later."""


class Insider:
    """A console in the process that it watches. For one thread at a time."""

    def __init__(self, core: Core, watcher: StallWatcher) -> None:
        self._core = core
        self._watcher = watcher
        self._cursor = core.cursor()
        self._version = 0
        self._connection = Connection(Role.CONSOLE)
        self._connection.receive(Connection(Role.RUNTIME).send(Hello(Role.RUNTIME)))

    def news(self) -> list[Message]:
        """What has become known since the last call: the stalls, those that have just ended too, and a batch
        about tasks."""
        self._watcher.settle(SETTLE_S)
        self._version, stalls = self._watcher.since(self._version)
        self._core.drain()
        return self._connection.receive(stalls + b"".join(self._cursor.frames()))

    def loops(self) -> set[int]:
        """The numbers of the open loops."""
        return set(self._core.loops())

    def live(self) -> dict[int, asyncio.Task[Any]]:
        """The tasks of the open loops that have not ended, by id."""
        loops = [loop for loop in self._core.loops().values() if isinstance(loop, asyncio.AbstractEventLoop)]
        return self.identified({task for loop in loops for task in asyncio.all_tasks(loop)})

    def identified(self, tasks: set[asyncio.Task[Any]]) -> dict[int, asyncio.Task[Any]]:
        """These tasks by id, without those that are not known."""
        found = {self._core.identify(task): task for task in tasks}
        found.pop(0, None)
        return found
