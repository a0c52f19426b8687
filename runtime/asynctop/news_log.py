"""What happened, for consoles: grouped by what and where, with a count.

Things are noted wherever the interpreter tells of them, even while it collects garbage in the middle of our
own work: so the lock can be taken again by who has it. Nothing is kept of the program but texts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from asynctop.stacks import Frame
from asynctop_protocol import Cancellation, Incident, frames

MAX_PLACES = 256
"""Places kept at most, each with all that happened there; those are forgotten
first where it has not happened for longest."""

MAX_BYTES = 512 * 1024
"""Bytes of text kept at most: a place with a deep stack takes several thousand."""

PAUSE_NS = 100_000_000
"""How often consoles are told at most: what happens in a hot loop happens very often."""

Record = TypeVar("Record", Incident, Cancellation)


@dataclass(slots=True)
class _Place(Generic[Record]):
    """All that happened at one place: as it is told, with the last time's fields."""

    record: Record
    version: int
    size: int


class NewsLog(Generic[Record]):
    """The newest places. `on_news` is called, in any thread, when there is something to tell."""

    message: Callable[[list[Record]], Any]
    """The message that takes what is told."""

    def __init__(self, on_news: Callable[[], None]) -> None:
        self._on_news = on_news
        self._lock = threading.RLock()
        self._places: dict[Hashable, _Place[Record]] = {}
        self._size = 0
        self._seen = 0
        self._version = 0
        self._told_version = 0
        """What is newer is not for consoles yet."""
        self._next_ns = 0
        self._rung = False

    def put(
        self,
        key: Hashable,
        make: Callable[[int, int, Record | None], Record],
        stacks: Iterable[Iterable[Frame]],
    ) -> None:
        """It has happened, at `key`: `make` gives what is told of it, from its id, its count and what was
        told before. `stacks` are those in it. On any thread."""
        size = sum(len(function) + len(file) for stack in stacks for function, file, _ in stack)
        with self._lock:
            entry = self._places.pop(key, None)
            self._version += 1
            if entry is None:
                self._seen += 1
                entry = _Place(make(self._seen, 1, None), self._version, size)
            else:
                self._size -= entry.size
                before = entry.record
                entry.record = make(before.id, before.count + 1, before)
                entry.version, entry.size = self._version, size
            self._places[key] = entry
            self._size += size
            while len(self._places) > MAX_PLACES or (self._size > MAX_BYTES and len(self._places) > 1):
                self._size -= self._places.pop(next(iter(self._places))).size
            rung, self._rung = self._rung, True
        if not rung:
            self._on_news()

    def since(self, version: int) -> tuple[int, bytes]:
        """The version now, and what happened after `version`, as frames."""
        with self._lock:
            now = time.monotonic_ns()
            if now >= self._next_ns and self._told_version < self._version:
                self._told_version, self._next_ns = self._version, now + PAUSE_NS
                self._rung = False
            told = self._told_version
            news = [each.record for each in self._places.values() if version < each.version <= told]
        return told, frames(type(self).message(news)) if news else b""

    def restart(self) -> None:
        """The process has forked, perhaps while another thread had the lock: begin anew."""
        self.__init__(self._on_news)  # type: ignore[misc]

    def due_ns(self) -> int | None:
        """When `since` has more to tell; None where nothing waits."""
        return self._next_ns if self._told_version < self._version else None
