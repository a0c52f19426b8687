"""Reading the stack of a thread while its loop is in a poll."""

from __future__ import annotations

from types import FrameType

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


def users_frame(stack: list[Frame]) -> Frame | None:
    """The innermost frame of the user's own code, else the innermost of all; None for no frames."""
    own = (frame for frame in reversed(stack) if owner(frame[1]) == USER)
    return next(own, stack[-1] if stack else None)


def poll_stack(core: Core, running: Running) -> tuple[list[Frame], Place]:
    """What a loop's thread runs, outermost first, from the task's or callback's own first frame on; empty if
    it is in no poll. And the place where it is."""
    frames = core.poll_frames(running)
    if not frames:
        return [], (0, 0)
    place = id(frames[0].f_code), frames[0].f_lasti
    stack = [each for each in frames if not each.f_code.co_filename.startswith(OWN_DIRECTORY)]
    return [frame_of(each) for each in reversed(stack[:MAX_FRAMES])], place
