"""For how long threads were ready to run while others had the processors, as Linux tells it."""

from __future__ import annotations

import threading
from _thread import get_ident


class Queues:
    """The threads' time in the processors' queues, from look to look of the stall watcher."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}
        """By thread identifier, as of the last call."""

    def waited(self, threads: set[int]) -> dict[int, int]:
        """How many ns each of these threads and the calling one waited since the last call; 0 where that call
        did not ask for it, and where the system does not tell.

        A file is opened for each, so this gives up the interpreter's lock, and is for when there is something
        to judge: a program may look at the numbers its own files get.
        """
        last = self._last
        self._last = {thread: _waited_ns(thread) for thread in {*threads, get_ident()}} if threads else {}
        return {thread: now - last.get(thread, now) for thread, now in self._last.items()}


def _waited_ns(thread: int) -> int:
    alive = threading._active.get(thread)  # type: ignore[attr-defined]
    try:
        with open(f"/proc/self/task/{alive.native_id}/schedstat", "rb", buffering=0) as file:
            return int(file.read(100).split()[1])
    except (AttributeError, OSError, IndexError, ValueError):
        return 0
