"""The hook for readers that are cancelled in the middle of a message and then used again.

A stream reader loses nothing by a cancellation, but who reads a message in several steps does: what it has
read so far is in its variables, and these are gone with it. Whoever reads next takes the rest of the message
for the beginning of one. The hook is where a reader waits for data: reading what is there costs nothing.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import weakref
from asyncio import StreamReader
from collections.abc import Callable, Iterator
from functools import partial, wraps
from types import CodeType, FrameType
from typing import Any, NamedTuple

from asynctop.awaits.taken import Taken, forget_outlines, taken
from asynctop.core.contract import Core, Patch
from asynctop.core.describe import clipped
from asynctop.core.sites import OWN_DIRECTORY, USER, owner
from asynctop.core.tracebacks import leave_out
from asynctop.hooks.patches import Patches
from asynctop.incident_log import IncidentLog
from asynctop.stacks import MAX_FRAMES, Frame, frame_of, users_frame

STATE_LOST = "state-lost-on-cancel"

MOST_CUT = 1000
"""Readers remembered that were left in the middle of a message, until they are collected."""

_COROUTINES = (
    inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE
)

_UNSHARED = 3
"""What `_references` counts where nobody else has the object: the list, the variable, and the argument."""


class _Cut(NamedTuple):
    """A reader that was left in the middle of a message."""

    reader: weakref.ref[StreamReader]
    code: CodeType
    """Of the coroutine that was reading it."""
    error: weakref.ref[BaseException]
    """The cancellation. For as long as it lives, its traceback has the coroutine's variables."""
    taken: Taken
    references: list[int]
    """To what was taken, when all of these variables were still there."""
    stack: list[Frame]
    task: int
    name: str
    """The task's."""

    def is_kept(self) -> bool:
        """Whether somebody else has what was taken, while the coroutine's variables are still there."""
        now = _references(self.taken.values)
        return any(count > before for count, before in zip(now, self.references, strict=True))


class StreamHooks:
    """The hook, and what it has been told."""

    def __init__(self, core: Core, log: IncidentLog, on_fault: Callable[[Exception], None]) -> None:
        self._core = core
        self._log = log
        self._on_fault = on_fault
        self._patches = Patches()
        self._cuts: dict[int, _Cut] = {}
        """By the id of the reader."""
        self._active = False

    def start(self) -> None:
        """Put it in place."""
        self._active = True
        self._patches.apply(self._of_reader())

    def stop(self) -> None:
        """Take it out again."""
        self._active = False
        self._patches.undo()
        self._cuts.clear()
        forget_outlines()

    def restart(self) -> None:
        """The process has forked."""
        self._cuts.clear()

    def _of_reader(self) -> Iterator[Patch]:
        stock = StreamReader._wait_for_data  # type: ignore[attr-defined]
        cuts, cancelled, read_again = self._cuts, self._cancelled, self._read_again

        @wraps(stock)
        async def _wait_for_data(self: Any, func_name: str) -> None:
            if id(self) in cuts:
                read_again(self, sys._getframe(1))
            try:
                await stock(self, func_name)
            except BaseException as error:
                if type(error) is asyncio.CancelledError:
                    cancelled(self, error, sys._getframe(1))
                leave_out(error)
                raise

        yield Patch(StreamReader, "_wait_for_data", _wait_for_data)

    def _cancelled(self, reader: StreamReader, error: BaseException, frame: FrameType | None) -> None:
        """A read that waits for data, called by `frame`, is cancelled."""
        if not self._active:
            return
        try:
            for each in awaiting(frame):
                if owner(each.f_code.co_filename) == USER and (found := taken(each, reader)) is not None:
                    self._remember(reader, error, each, found, frame)
                    return
        except Exception as error:
            self._on_fault(error)

    def _remember(
        self,
        reader: StreamReader,
        error: BaseException,
        frame: FrameType,
        found: Taken,
        innermost: FrameType | None,
    ) -> None:
        key, cuts = id(reader), self._cuts
        if len(cuts) >= MOST_CUT:
            cuts.pop(next(iter(cuts)), None)
        task = asyncio.current_task()
        stack = [frame_of(each) for each in awaiting(innermost)][:MAX_FRAMES][::-1]
        cuts[key] = _Cut(
            weakref.ref(reader, lambda _: cuts.pop(key, None)),
            frame.f_code,
            weakref.ref(error, partial(self._passed, key)),
            found,
            _references(found.values),
            stack,
            self._core.identify(task) if task is not None else 0,
            clipped(task.get_name()) if task is not None else "",
        )

    def _passed(self, key: int, error: weakref.ref[BaseException]) -> None:
        """A cancellation is over. What was taken is not lost if somebody has it by now."""
        try:
            cut = self._cuts.get(key)
            if cut is not None and cut.error is error and cut.is_kept():
                self._cuts.pop(key, None)
        except Exception as fault:
            self._on_fault(fault)

    def _read_again(self, reader: StreamReader, frame: FrameType | None) -> None:
        """A reader that was left in the middle of a message waits for data again, called by `frame`."""
        try:
            cut = self._cuts.pop(id(reader), None)
            if cut is None:
                return
            at = next((each for each in awaiting(frame) if each.f_code is cut.code), None)
            # Another function may be there to skip what is left of the message.
            if at is not None and _begins_again(at, cut):
                self._log.note(
                    STATE_LOST,
                    users_frame(cut.stack),
                    cut.stack,
                    name=cut.name,
                    text=", ".join(cut.taken.names),
                    task=cut.task,
                )
        except Exception as error:
            self._on_fault(error)


def _begins_again(frame: FrameType, cut: _Cut) -> bool:
    """Whether what the cancelled coroutine had read is lost, now that the same function reads again."""
    local, taken = frame.f_locals, cut.taken
    if all(id(local.get(name)) == number for name, number in taken.identities.items()):
        # It is the same coroutine: it has caught the cancellation. Has it gone back, without going on first?
        resumed = any(local.get(name) is not value for name, value in taken.later.items())
        return frame.f_lasti < taken.place and not resumed
    if taken.caught or any(value is each for value in taken.values for each in local.values()):
        return False  # it may have been used, or was handed on
    del local
    if cut.error() is not None:
        return not cut.is_kept()
    return all(count <= _UNSHARED for count in _references(taken.values))


def _references(values: list[Any]) -> list[int]:
    return [sys.getrefcount(value) for value in values]


def awaiting(frame: FrameType | None) -> Iterator[FrameType]:
    """This frame and those that await it, innermost first, without ours."""
    while frame is not None and frame.f_code.co_flags & _COROUTINES:
        if not frame.f_code.co_filename.startswith(OWN_DIRECTORY):
            yield frame
        frame = frame.f_back
