"""Suspended coroutines: what they are suspended in, one within the other, and at which line.

Everything is read, and nothing is run: no property, no method of the program's own objects.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

from asynctop.core.sites import USER, owner

_AWAITED = (
    ("cr_frame", "cr_await"),
    ("gi_frame", "gi_yieldfrom"),
    ("ag_frame", "ag_await"),
)

MOST_STEPS = 1000
"""Awaited within each other: the interpreter's own limit, unless somebody has raised it."""


class Step(NamedTuple):
    """One suspended coroutine, generator or asynchronous generator."""

    awaitable: Any
    frame: FrameType


def steps(awaitable: Any) -> Iterator[Step]:
    """Those that `awaitable` is suspended in, outermost first."""
    while awaitable is not None:
        for frame_attribute, next_attribute in _AWAITED:
            frame = getattr(awaitable, frame_attribute, None)
            if isinstance(frame, FrameType):
                yield Step(awaitable, frame)
                awaitable = getattr(awaitable, next_attribute)
                break
        else:
            awaitable = _behind(awaitable)


def _behind(awaitable: Any) -> Any:
    """The asynchronous generator behind its `__anext__()`, and the like, which do not say what they are
    suspended in; None where there is none."""
    if type(awaitable).__name__ not in (
        "async_generator_asend",
        "async_generator_athrow",
        "coroutine_wrapper",
    ):
        return None
    return next(
        (
            each
            for each in gc.get_referents(awaitable)
            if hasattr(each, "ag_frame") or hasattr(each, "cr_frame")
        ),
        None,
    )


def yielded_at(coroutine: Any) -> tuple[str, int]:
    """The user's innermost line that a coroutine is suspended in, where there is none the innermost of all:
    file and line. ("", 0) where it is not suspended."""
    found: FrameType | None = None
    users = False
    for number, (_, frame) in enumerate(steps(coroutine)):
        if number == MOST_STEPS:
            return "", 0
        is_users = owner(frame.f_code.co_filename) == USER
        if is_users or not users:
            found, users = frame, is_users
    return (found.f_code.co_filename, found.f_lineno) if found is not None else ("", 0)
