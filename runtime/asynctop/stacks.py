"""Reading the stack of a thread while its loop is in a poll."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE
from types import FrameType
from typing import NamedTuple

from asynctop.callees import callee, in_call
from asynctop.causes import Place
from asynctop.core.contract import Core, Running
from asynctop.core.sites import OWN_DIRECTORY, USER, owner

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


def users_frame(stack: Sequence[Frame]) -> Frame | None:
    """The innermost frame of the user's own code, else the innermost of all; None for no frames."""
    own = (frame for frame in reversed(stack) if owner(frame[1]) == USER)
    return next(own, stack[-1] if stack else None)


class Sight(NamedTuple):
    """What a loop's thread is seen to run."""

    stack: tuple[Frame, ...]
    """Outermost first, from the task's or callback's own first frame on."""
    callee: str
    """The C function that the innermost frame is calling, where that is known."""
    coroutine: str
    """The innermost of the user's own coroutine functions in the stack."""
    calls: bool
    """Whether the innermost frame is calling something, known or not."""


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
    sight = Sight(frames_seen, called, _coroutine(stack), in_call(stack[0]))
    return sight, called.partition(".")[0] or place


def _coroutine(stack: list[FrameType]) -> str:
    for frame in stack:
        code = frame.f_code
        if code.co_flags & (CO_COROUTINE | CO_ASYNC_GENERATOR) and owner(code.co_filename) == USER:
            return code.co_qualname[-MAX_TEXT:]
    return ""
