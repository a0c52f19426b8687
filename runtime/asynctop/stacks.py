"""Reading stacks: of a thread while its loop is in a poll, and of a suspended task down to what it waits
for."""

from __future__ import annotations

from collections.abc import Callable
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE
from types import FrameType
from typing import Any, NamedTuple

from asynctop.callees import callee
from asynctop.causes import Place
from asynctop.core.contract import Core, Running
from asynctop.core.sites import ASYNCIO_DIRECTORY, OWN_DIRECTORY, USER, owner
from asynctop_protocol import Chain, Waiting

MAX_TEXT = 400
"""Characters of a name or path that are kept, the last ones."""

MAX_FRAMES = 64
"""Frames of a stack that are kept, the innermost ones: a deep recursion would fill the screen and the
wire."""

Frame = tuple[str, str, int]
"""(function, file, line)."""


def frame_of(frame: FrameType) -> Frame:
    """What a person needs of a frame."""
    code = frame.f_code
    return code.co_qualname[-MAX_TEXT:], code.co_filename[-MAX_TEXT:], frame.f_lineno or code.co_firstlineno


class Sight(NamedTuple):
    """What a loop's thread is seen to run."""

    stack: tuple[Frame, ...]
    """Outermost first, from the task's or callback's own first frame on."""
    callee: str
    """The C function that the innermost frame is calling, where that is known."""
    coroutine: str
    """The innermost of the user's own coroutine functions in the stack."""


def poll_stack(core: Core, running: Running) -> tuple[Sight | None, Place]:
    """What a loop's thread runs, None if it is in no poll. And the place where it is."""
    frames = core.poll_frames(running)
    if not frames:
        return None, (0, 0)
    place: Place = id(frames[0].f_code), frames[0].f_lasti
    stack = [each for each in frames if not each.f_code.co_filename.startswith(OWN_DIRECTORY)]
    if not stack:
        return None, place
    called = callee(stack[0])[-MAX_TEXT:]
    frames_seen = tuple(frame_of(each) for each in reversed(stack[:MAX_FRAMES]))
    return Sight(frames_seen, called, _coroutine(stack)), called.partition(".")[0] or place


def _coroutine(stack: list[FrameType]) -> str:
    for frame in stack:
        code = frame.f_code
        if code.co_flags & (CO_COROUTINE | CO_ASYNC_GENERATOR) and owner(code.co_filename) == USER:
            return code.co_qualname[-MAX_TEXT:]
    return ""


_AWAITED = (
    ("cr_frame", "cr_await"),
    ("gi_frame", "gi_yieldfrom"),
    ("ag_frame", "ag_await"),
)


def await_chain(number: int, task: Any, identify: Callable[[Any], int]) -> Chain:
    """Down from a suspended task's coroutine to what it waits for. On the task's loop's thread."""
    frames: list[Frame] = []
    innermost: FrameType | None = None
    awaited = task.get_coro()
    while awaited is not None and len(frames) < MAX_FRAMES:
        for frame_attribute, next_attribute in _AWAITED:
            frame = getattr(awaited, frame_attribute, None)
            if isinstance(frame, FrameType):
                frames.append(frame_of(frame))
                innermost = frame
                awaited = getattr(awaited, next_attribute)
                break
        else:
            break
    return Chain(number, frames, _waiting_on(getattr(task, "_fut_waiter", None), innermost, identify))


_PRIMITIVES = {
    "Lock.acquire": "lock",
    "Event.wait": "event",
    "Condition.wait": "condition",
    "Semaphore.acquire": "semaphore",
    "Barrier._wait": "barrier",
    "Queue.get": "queue",
    "Queue.put": "queue",
    "Queue.join": "queue",
    "StreamReader._wait_for_data": "stream",
    "FlowControlMixin._drain_helper": "stream",
}
"""asyncio's own coroutines that wait for a resource, which is their `self`."""


def _waiting_on(future: Any, innermost: FrameType | None, identify: Callable[[Any], int]) -> Waiting | None:
    if future is None:
        return None
    if hasattr(future, "get_coro"):
        return Waiting("task", identify(future), future.get_name())
    if innermost is not None and innermost.f_code.co_filename.startswith(ASYNCIO_DIRECTORY):
        name = innermost.f_code.co_qualname
        if name == "sleep":
            delay = innermost.f_locals.get("delay")
            return Waiting(
                "timer", id(future), f"sleep({delay:g})" if isinstance(delay, int | float) else "sleep"
            )
        if name in _PRIMITIVES:
            resource = innermost.f_locals.get("self")
            return Waiting(
                _PRIMITIVES[name],
                id(resource),
                f"{type(resource).__qualname__}, in {name.rpartition('.')[2]}()",
            )
    return Waiting("future", id(future), type(future).__qualname__)
