"""Loops that wait for loops: a poll that blocks its own loop until another one, in another thread, has done
something. What it waits for tells: the thread of the other loop, or a future that the other one is to set.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from types import FrameType
from typing import Any

from asynctop.awaits.waits import tied_to
from asynctop.core.contract import Core, Running
from asynctop.core.describe import clipped
from asynctop.core.sites import MACHINERY, OWN_DIRECTORY, RUNNERS, USER, owner
from asynctop.incident_log import IncidentLog
from asynctop.stacks import MAX_FRAMES, frame_of, users_frame
from asynctop.threads import join

NESTED_RUN = "nested-run-in-a-thread"

_WAITED_FOR = {
    "Thread.join": "self",
    "Future.result": "self",
    "Future.exception": "self",
    "wait": "fs",
    "as_completed": "pending",
}
"""Functions of `threading` and `concurrent.futures` that wait, and the variable with what they wait for."""


class NestedLoops:
    """Looks at stalls while they last, and notes those that are such."""

    def __init__(self, core: Core, log: IncidentLog, on_fault: Callable[[Exception], None]) -> None:
        self._core = core
        self._log = log
        self._on_fault = on_fault
        self._noted: dict[int, int] = {}
        """By loop: when the poll began that was noted last."""

    def look(self, running: Running, threads: Collection[int]) -> None:
        """`running` is past the threshold; event loops have run in `threads`."""
        if self._noted.get(running.loop) == running.since_ns:
            return
        try:
            frames = self._core.poll_frames(running)
            thread = next(self._waited_for(frames, {*threads} - {running.thread}), None)
            if thread is None:
                return
            self._noted[running.loop] = running.since_ns
            kept = [each for each in frames if not each.f_code.co_filename.startswith(OWN_DIRECTORY)]
            stack = [frame_of(each) for each in reversed(kept[:MAX_FRAMES])]
            self._log.note(
                NESTED_RUN,
                users_frame(stack),
                stack,
                name=running.name,
                text=clipped(thread),
                task=running.task,
                loop=running.loop,
            )
        except Exception as error:
            self._on_fault(error)

    def _waited_for(self, frames: list[FrameType], threads: set[int]) -> Iterator[str]:
        """The names of threads with other loops that a thread with these frames waits for."""
        for frame in frames:
            code = frame.f_code
            if owner(code.co_filename) == USER:
                return
            variable = _WAITED_FOR.get(code.co_qualname)
            if variable is None or not code.co_filename.endswith(("threading.py", "_base.py")):
                continue
            if frame.f_back is not None and frame.f_back.f_code is join.__code__:
                return  # for a thread of ours, which a fork must not find
            found = frame.f_locals.get(variable)
            for each in tuple(found) if isinstance(found, set | list | tuple) else (found,):
                if isinstance(each, threading.Thread):
                    if each.ident is not None and _runs_loop(each.ident, threads):
                        yield each.name
                elif isinstance(each, Future):
                    yield from _setting(each, threads)


def _setting(future: Future[Any], threads: set[int]) -> Iterator[str]:
    """The names of the threads whose loops are to set a future."""
    for ident, frame in sys._current_frames().items():
        if _works_on(frame, future) and _runs_loop(ident, threads):
            yield _name(ident)
    # As `asyncio.run_coroutine_threadsafe` makes it.
    for callback in tuple(future._done_callbacks):  # type: ignore[attr-defined]
        source = tied_to(callback)
        if isinstance(source, asyncio.Future) and (loop := source.get_loop()).is_running():
            yield _name(getattr(loop, "_thread_id", 0))


def _works_on(frame: FrameType | None, future: Future[Any]) -> bool:
    """Whether a thread, whose innermost frame this is, works on what an executor has promised."""
    while frame is not None:
        if frame.f_code.co_qualname == "_WorkItem.run":
            return getattr(frame.f_locals.get("self"), "future", None) is future
        frame = frame.f_back
    return False


def _runs_loop(ident: int, threads: set[int]) -> bool:
    if ident in threads:
        return True
    frame = sys._current_frames().get(ident)
    while frame is not None:
        if frame.f_code.co_name in RUNNERS and owner(frame.f_code.co_filename) == MACHINERY:
            return True
        frame = frame.f_back
    return False


def _name(ident: int) -> str:
    """A thread's name, empty where it is not known."""
    thread = threading._active.get(ident)  # type: ignore[attr-defined]
    return thread.name if thread is not None else ""
