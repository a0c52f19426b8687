"""What went wrong, for consoles: grouped by what happened and where, with a count.

An incident is noted wherever the interpreter tells of it, even while it collects garbage in the middle of our
own work: so the lock can be taken again by who has it. Nothing is kept of the program but texts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from asynctop.stacks import Frame
from asynctop_protocol import Incident, Incidents, frames

MAX_PLACES = 256
"""Places kept at most, each with all that happened there; the oldest are forgotten first."""

MAX_BYTES = 512 * 1024
"""Bytes of text kept at most: a place with a deep stack takes several thousand."""

PAUSE_NS = 100_000_000
"""How often consoles are told at most: what goes wrong in a hot loop goes wrong very often."""


@dataclass(slots=True)
class _Place:
    """All that happened at one place; the fields as in `Incident`, those of the last time."""

    id: int
    type: str
    count: int = 0
    version: int = 0
    task: int = 0
    loop: int = 0
    name: str = ""
    at_ns: int = 0
    text: str = ""
    stack: tuple[Frame, ...] = ()
    size: int = 0

    def incident(self) -> Incident:
        return Incident(
            id=self.id,
            type=self.type,
            task=self.task,
            kind=0,
            loop=self.loop,
            name=self.name,
            at_ns=self.at_ns,
            count=self.count,
            text=self.text,
            stack=list(self.stack),
        )


class IncidentLog:
    """The newest places. `on_news` is called, in any thread, when there is something to tell."""

    def __init__(self, on_news: Callable[[], None]) -> None:
        self._on_news = on_news
        self._lock = threading.RLock()
        self._places: dict[tuple[str, Frame | None], _Place] = {}
        self._size = 0
        self._seen = 0
        self._version = 0
        self._told_version = 0
        """What is newer is not for consoles yet."""
        self._next_ns = 0
        self._rung = False

    def note(
        self,
        type_: str,
        place: Frame | None,
        stack: Iterable[Frame],
        *,
        name: str,
        text: str = "",
        task: int = 0,
        loop: int = 0,
    ) -> None:
        """It has happened, at `place`. On any thread."""
        with self._lock:
            key = type_, place
            entry = self._places.get(key)
            if entry is None:
                self._seen += 1
                entry = self._places[key] = _Place(self._seen, type_)
            entry.count += 1
            self._version += 1
            entry.version = self._version
            entry.task, entry.loop, entry.name, entry.text = task, loop, name, text
            entry.at_ns = time.monotonic_ns()
            entry.stack = tuple(stack)
            size = sum(len(function) + len(file) for function, file, _ in entry.stack)
            self._size += size - entry.size
            entry.size = size
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
            news = [each.incident() for each in self._places.values() if version < each.version <= told]
        return told, frames(Incidents(news)) if news else b""

    def restart(self) -> None:
        """The process has forked, perhaps while another thread had the lock: begin anew."""
        self.__init__(self._on_news)  # type: ignore[misc]

    def due_ns(self) -> int | None:
        """When `since` has more to tell; None where nothing waits."""
        return self._next_ns if self._told_version < self._version else None
