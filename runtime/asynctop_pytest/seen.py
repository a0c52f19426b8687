"""What is seen of a test: its stalls, and its tasks that live."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from asynctop.insider import Insider
from asynctop.stacks import Frame, users_frame
from asynctop_protocol import Cause, Ended, Kinds, Loops, Named, Reset, Spawned, Stalls, Texts
from asynctop_protocol import Stall as Told
from asynctop_pytest.processors import Notes

_BLAMED = {Cause.BLOCKING, Cause.CPU, Cause.GIL}
"""Not a garbage collection, which is about all that the test run has made so far; nor what is not known, as
of a poll that would not have been long if the machine had had a processor for it."""

_NOBODYS = re.compile(
    r"^<frozen importlib\._bootstrap|[/\\][bp]db\.py:"
    r"|[/\\]threading\.py:Thread\.start$|[/\\]asyncio[/\\]subprocess\.py:create_"
)
"""What takes its time and is no fault of a test: an import, which comes once; the debugger; and the start of
a thread or a process, which takes as long as the system takes."""

_ANYIO = re.compile(r"[/\\]anyio[/\\]_backends[/\\]")
_ANYIO_RUNNER = "TestRunner._run_tests_and_fixtures"
"""anyio's plugin runs tests and fixtures in one task, which is as wide as the widest of them."""


@dataclass(frozen=True, slots=True)
class Stall:
    """A poll or callback that held up its event loop."""

    seconds: float
    own_seconds: float
    """Without the time in which others had the processors."""
    cause: str
    """"blocking", "cpu", "gil", "gc", or "unknown": the machine may have been busy."""
    function: str
    file: str
    line: int
    """Where: the innermost line of the user's code. Empty and 0 where nothing was seen of it."""
    callee: str
    """The C function called there, "" where that is not known."""
    who: str
    """The task's name, or the callback's."""
    stack: tuple[Frame, ...]
    """(function, file, line), outermost first."""
    ongoing: bool
    blamed: bool
    """Whether a test fails for it, where its own time is too long."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task that lives."""

    name: str
    kind: str
    """The qualified name of its coroutine function."""
    file: str
    line: int
    """Where it was spawned; empty and 0 where that was not seen."""


@dataclass(slots=True)
class _Row:
    kind: int
    loop: int
    parent: int
    name: str = ""
    ended: bool = False


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    defined: tuple[str, int]
    spawned: tuple[str, int]


class Seen:
    """What has been seen of one test so far; the fixture `asynctop`."""

    def __init__(self, inside: Insider, notes: Notes) -> None:
        self._inside = inside
        self._notes = notes
        """Of this thread."""
        self._elsewhere: set[int] = set()
        """The loops that run in other threads."""
        self._texts = [""]
        self._kinds = [_Kind("", ("", 0), ("", 0))]
        self._tasks: dict[int, _Row] = {}
        self._stalls: dict[int, Told] = {}
        self._known_live: WeakValueDictionary[int, asyncio.Task[Any]] = WeakValueDictionary()
        """Those that lived when somebody looked: their loop may be closed by now."""
        self._left: set[int] = set()
        """Those of this test that lived when their run ended."""
        self._began_ns = 0
        self.restart()

    def restart(self) -> None:
        """Another test begins: nothing of what there is by now is its own."""
        self._update()
        self._tasks = {number: row for number, row in self._tasks.items() if not row.ended}
        self._foreign = set(self._tasks)
        self._foreign_loops = self._inside.loops()
        self._stalls.clear()
        self._told: set[int] = set()
        self._known_live.clear()
        self._left.clear()
        self._began_ns = time.monotonic_ns()

    @property
    def stalls(self) -> list[Stall]:
        """The polls and callbacks of this test past its `max_poll`, oldest first; one that goes on too."""
        self._update()
        return [self._stall(stall) for _, stall in sorted(self._stalls.items())]

    @property
    def tasks(self) -> list[Task]:
        """The tasks of this test that live, other than those about to be cancelled; and those that lived when
        their `asyncio.run()` ended, which cancels them. The one that asks is none of them."""
        self._update()
        live = self._inside.live()
        self._known_live.update(live)
        lives = (number for number, task in self._known_live.items() if _is_left(task))
        numbers = self._left | {number for number in lives if self._is_own(number)}
        return [self._task(self._tasks[number]) for number in sorted(numbers)]

    # -- for the hooks --

    def news(self) -> list[Stall]:
        """The stalls that have ended since the last call."""
        self._update()
        ended = [stall for number, stall in sorted(self._stalls.items()) if number not in self._told]
        ended = [stall for stall in ended if not stall.ongoing]
        self._told |= {stall.id for stall in ended}
        return [self._stall(stall) for stall in ended]

    @contextmanager
    def foreign(self) -> Iterator[None]:
        """Tasks spawned and loops made meanwhile are not the test's: a wider fixture is set up."""
        self._update()
        tasks, loops = set(self._tasks), self._inside.loops()
        try:
            yield
        finally:
            self._update()
            self._foreign |= set(self._tasks) - tasks
            self._foreign_loops |= self._inside.loops() - loops

    def cancels_all(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        """A run has ended, and cancels what it finds. By then it is known what comes from what has ended."""
        self._update()
        found = self._inside.identified({task for task in tasks if _is_left(task)})
        self._left |= {number for number in found if self._is_own(number)}

    # -- what is told --

    def _update(self) -> None:
        for message in self._inside.news():
            match message:
                case Loops():
                    name = threading.current_thread().name
                    threads = zip(message.id, message.thread, strict=True)
                    self._elsewhere = {loop for loop, thread in threads if thread not in ("", name)}
                case Reset():
                    self._tasks.clear()
                case Texts():
                    self._texts[message.first :] = message.texts
                case Kinds():
                    self._kinds[message.first :] = map(self._kind, *_columns(message))
                case Spawned():
                    rows = zip(message.id, message.kind, message.loop, message.parent, strict=True)
                    self._tasks |= {number: _Row(kind, loop, parent) for number, kind, loop, parent in rows}
                case Named():
                    for number, name in zip(message.id, message.names, strict=True):
                        if number in self._tasks:
                            self._tasks[number].name = name
                case Ended():
                    for number in message.id:
                        if number in self._tasks:
                            self._tasks[number].ended = True
                case Stalls():
                    since = [stall for stall in message.stalls if stall.started_ns >= self._began_ns]
                    self._stalls |= {stall.id: stall for stall in since}

    def _kind(self, name: int, file: int, line: int, spawned_file: int, spawned_line: int) -> _Kind:
        texts = self._texts
        return _Kind(texts[name], (texts[file], line), (texts[spawned_file], spawned_line))

    def _task(self, row: _Row) -> Task:
        kind = self._kinds[row.kind]
        return Task(row.name, kind.name, *kind.spawned)

    def _stall(self, stall: Told) -> Stall:
        frame = users_frame(stall.stack)
        kind = self._kinds[stall.kind]
        nobodys = any(_NOBODYS.search(f"{file}:{function}") for function, file, _ in stall.stack)
        own_ns = stall.duration_ns
        if stall.loop not in self._elsewhere:
            own_ns = self._notes.own_ns(
                stall.started_ns,
                stall.duration_ns,
                computes=stall.cause is not Cause.BLOCKING,
                for_thread=stall.callee.startswith("_thread."),
            )
        return Stall(
            stall.duration_ns / 1e9,
            own_ns / 1e9,
            stall.cause.name.lower(),
            *(frame or (kind.name, *kind.defined)),
            stall.callee,
            stall.name,
            tuple(stall.stack),
            stall.ongoing,
            stall.cause in _BLAMED and not nobodys,
        )

    def _is_own(self, number: int) -> bool:
        """Whether a task is of this test: on a loop of its own, each that was spawned meanwhile; on a wider
        one, those that come from a coroutine which has ended, as the test's has."""
        row = self._tasks.get(number)
        if row is None or number in self._foreign or self._is_runner(row):
            return False
        if row.loop not in self._foreign_loops:
            return True
        while row.parent:
            parent = self._tasks.get(row.parent)
            if row.parent in self._foreign:
                return parent is not None and self._is_runner(parent)
            if parent is None:
                return True  # it has ended so long ago that it is forgotten
            row = parent
        return row.ended

    def _is_runner(self, row: _Row) -> bool:
        kind = self._kinds[row.kind]
        return kind.name == _ANYIO_RUNNER and bool(_ANYIO.search(kind.defined[0]))


def _is_left(task: asyncio.Task[Any]) -> bool:
    return not task.done() and not task.cancelling() and task is not _current()


def _current() -> asyncio.Task[Any] | None:
    return asyncio.current_task() if asyncio._get_running_loop() is not None else None


def _columns(kinds: Kinds) -> tuple[Any, ...]:
    return kinds.name, kinds.defined_file, kinds.defined_line, kinds.spawned_file, kinds.spawned_line
