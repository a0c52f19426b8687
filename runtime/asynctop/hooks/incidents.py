"""Hooks for what the interpreter and the event loops notice by themselves: a coroutine that nobody awaited,
an exception that nobody saw, a task that vanished, a callback given to a loop by a foreign thread.

Some of it is told by finalizers, in whatever thread drops the last reference. So the hooks keep nothing of
what they are told about but texts, and what they stand in for is called with what it would have been called
with, and with nothing of ours around it that it could see.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import warnings
from asyncio import base_events
from collections.abc import Callable, Iterator
from functools import wraps
from types import CoroutineType, FrameType
from typing import Any, TypeAlias

from asynctop.calls import calling_line, only_call
from asynctop.core.contract import Core, Patch
from asynctop.core.describe import clipped, describe, exception_text
from asynctop.core.sites import MACHINERY, OWN_DIRECTORY, RUNNERS, USER, owner
from asynctop.core.suspended import steps
from asynctop.core.tracebacks import leave_out
from asynctop.hooks.patches import Patches
from asynctop.incident_log import IncidentLog
from asynctop.stacks import MAX_FRAMES, MAX_TEXT, Frame, frame_of, users_frame

NEVER_AWAITED = "coroutine-never-awaited"
NEVER_RETRIEVED = "task-exception-never-retrieved"
DESTROYED = "pending-task-destroyed"
WRONG_THREAD = "call-from-wrong-thread"

_Coroutine: TypeAlias = "CoroutineType[Any, Any, Any]"


class IncidentHooks:
    """The hooks, and what they make of what they are told: entries of `log`. `collecting` tells whether
    garbage is being collected: whose frames are on the stack then has nothing to do with it."""

    def __init__(
        self,
        core: Core,
        log: IncidentLog,
        collecting: Callable[[], bool],
        on_fault: Callable[[Exception], None],
    ) -> None:
        self._core = core
        self._log = log
        self._collecting = collecting
        self._on_fault = on_fault
        self._patches = Patches()

    def start(self) -> None:
        """Put them in place."""
        self._patches.apply(self._of_interpreter())
        self._patches.apply(self._of_loop_class(base_events.BaseEventLoop))
        if sys.modules.get("uvloop") is not None:
            self.start_on_uvloop()
        self._core.report_foreign_calls(self._called_by_foreign_thread)

    def start_on_uvloop(self) -> None:
        """uvloop has been imported."""
        self._patches.apply(self._of_loop_class(sys.modules["uvloop"].Loop))

    def stop(self) -> None:
        """Take them out again."""
        self._core.report_foreign_calls(None)
        self._patches.undo()

    def restart(self) -> None:
        """The process has forked, and the core has begun anew."""
        self._log.restart()
        self._core.report_foreign_calls(self._called_by_foreign_thread)

    def _of_interpreter(self) -> Iterator[Patch]:
        stock: Any = getattr(warnings, "_warn_unawaited_coroutine", None)
        if stock is None:
            return  # the interpreter does without it, too
        noted = self._never_awaited

        class NeverAwaited:
            """Called with the coroutine. The stock function is called by the interpreter, not by a function
            of ours: its warning is for the line of its caller's caller."""

            def __new__(cls, coroutine: _Coroutine) -> NeverAwaited:
                noted(coroutine)
                return super().__new__(cls)

            __init__ = staticmethod(stock)

        yield Patch(warnings, "_warn_unawaited_coroutine", NeverAwaited)

    def _of_loop_class(self, loop_class: Any) -> Iterator[Patch]:
        stock = loop_class.call_exception_handler
        told = self._told_to_handler

        @wraps(stock)
        def call_exception_handler(self: Any, context: Any) -> None:
            told(self, context)
            try:
                stock(self, context)
            except BaseException as error:
                leave_out(error)
                raise

        yield Patch(loop_class, "call_exception_handler", call_exception_handler)

    # -- what they are told --

    def _never_awaited(self, coroutine: _Coroutine) -> None:
        try:
            code = coroutine.cr_code
            # Its own first line is the innermost frame, as if the call had gone on.
            itself = coroutine.__qualname__[-MAX_TEXT:], code.co_filename[-MAX_TEXT:], code.co_firstlineno
            stack = _origin(coroutine) or ([] if self._collecting() else _call(sys._getframe(2), coroutine))
            # One line may call many, as a dispatcher does.
            place = users_frame(stack), itself
            self._log.note(NEVER_AWAITED, place, (*stack, itself), name=clipped(coroutine.__qualname__))
        except Exception as error:
            self._on_fault(error)

    def _told_to_handler(self, loop: Any, context: Any) -> None:
        try:
            if type(context) is not dict or type(message := context.get("message")) is not str:
                return
            if message.endswith(" exception was never retrieved") and "future" in context:
                self._never_retrieved(loop, context["future"], context.get("exception"))
            elif message == "Task was destroyed but it is pending!" and "task" in context:
                self._destroyed(loop, context["task"])
        except Exception as error:
            self._on_fault(error)

    def _never_retrieved(self, loop: Any, future: Any, error: Any) -> None:
        if not isinstance(error, BaseException):
            return
        stack = _raised(error)
        name = clipped(future.get_name()) if hasattr(future, "get_name") else type(future).__qualname__
        outermost = stack[0][:2] if stack else name  # many may fail in one helper
        self._log.note(
            NEVER_RETRIEVED,
            (users_frame(stack), outermost),
            stack,
            name=name,
            text=exception_text(error),
            task=self._core.identify(future),
            loop=self._number(loop),
        )

    def _destroyed(self, loop: Any, task: Any) -> None:
        stack = [frame_of(step.frame) for step in steps(task.get_coro())][-MAX_FRAMES:]
        self._log.note(
            DESTROYED,
            users_frame(stack) or (task.get_coro().__qualname__, "", 0),
            stack,
            name=clipped(task.get_name()),
            task=self._core.identify(task),
            loop=self._number(loop),
        )

    def _called_by_foreign_thread(self, loop: Any, callback: Any) -> None:
        try:
            identifier = threading.get_ident()
            if (
                not loop.is_running()
                or asyncio._get_running_loop() is loop
                # A loop in a loop is another one's thread's own, too.
                or getattr(loop, "_thread_id", None) == identifier
                or loop.get_debug()  # it raises by itself
                or self._collecting()  # a finalizer's, and no thread's fault
            ):
                return
            stack = _frames(_getframe_outside())
            thread = threading._active.get(identifier)  # type: ignore[attr-defined]
            task: Any = callback if hasattr(callback, "get_coro") else getattr(callback, "__self__", None)
            number = self._core.identify(task)
            self._log.note(
                WRONG_THREAD,
                users_frame(stack),
                stack,
                name=clipped(task.get_name()) if number else describe(callback),
                text=clipped(thread.name) if thread is not None else str(identifier),
                task=number,
                loop=self._number(loop),
            )
        except Exception as error:
            self._on_fault(error)

    def _number(self, loop: Any) -> int:
        return next((number for number, each in self._core.loops().items() if each is loop), 0)


# -- stacks: outermost frame first --


def _getframe_outside() -> FrameType | None:
    """The innermost frame that is not ours."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(OWN_DIRECTORY):
        frame = frame.f_back
    return frame


def _frames(frame: FrameType | None) -> list[Frame]:
    """From a frame outwards, up to where the loop began to run the callback that it belongs to."""
    found: list[Frame] = []
    while frame is not None and len(found) < MAX_FRAMES:
        code = frame.f_code
        if code.co_name in RUNNERS and owner(code.co_filename) == MACHINERY:
            break
        if not code.co_filename.startswith(OWN_DIRECTORY):
            found.append(frame_of(frame))
        frame = frame.f_back
    return found[::-1]


def _raised(error: BaseException) -> list[Frame]:
    """Where an exception was raised."""
    found: list[Frame] = []
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not code.co_filename.startswith(OWN_DIRECTORY):
            found.append((code.co_qualname[-MAX_TEXT:], code.co_filename[-MAX_TEXT:], traceback.tb_lineno))
        traceback = traceback.tb_next
    return found[-MAX_FRAMES:]


def _origin(coroutine: _Coroutine) -> list[Frame]:
    """Where a coroutine was made, if the program has the interpreter keep that."""
    origin = coroutine.cr_origin or ()
    return [(function[-MAX_TEXT:], file[-MAX_TEXT:], line) for file, line, function in reversed(origin)]


def _call(frame: FrameType | None, coroutine: _Coroutine) -> list[Frame]:
    """Where the user's code called a coroutine that is dropped in `frame`, empty where that is not known: it
    may have been kept by something that has no line of its own, such as the callback of a loop."""
    stack = _frames(frame)
    if frame is not None and owner(frame.f_code.co_filename) != MACHINERY:
        line = calling_line(frame, coroutine.__name__)
        if line is not None and any(owner(file) == USER for _, file, _ in stack):
            return [*stack[:-1], (*stack[-1][:2], line)]
    place = only_call(coroutine)
    return [place] if place is not None else []
