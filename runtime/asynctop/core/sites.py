"""Where a task was spawned: a code object and a place in it, taken without walking the whole stack.

Reading one frame costs about as much as recording a poll, so who asks looks first at where a coroutine's
like was spawned last time: see `depths`. Only where nothing is known of that place are the frames walked, up
to the loop's own.
"""

from __future__ import annotations

import asyncio
import os
import sys
from types import CodeType, FrameType
from typing import Any

OWN_DIRECTORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
ASYNCIO_DIRECTORY = os.path.dirname(os.path.abspath(asyncio.__file__)) + os.sep
# Not asked of `sysconfig`, whose import costs a tenth of ours.
LIBRARY_DIRECTORIES = (
    os.path.dirname(os.path.abspath(os.__file__)) + os.sep,
    os.sep + "site-packages" + os.sep,
    os.sep + "dist-packages" + os.sep,
)
MACHINERY, LIBRARY, USER = range(3)
"""Whose code a file is: asyncio's, trio's and ours, a library's, the user's own."""

_machinery: tuple[str, ...] = (OWN_DIRECTORY, ASYNCIO_DIRECTORY)
_owners: dict[str, int] = {}
depths: dict[int, int] = {}
"""How far above `spawn_site`'s caller the user's frame was that spawned a coroutine last."""


def add_machinery(directory: str) -> None:
    """What is in this directory is part of the machinery too, as far as it has not been asked for yet."""
    global _machinery
    _machinery = tuple(dict.fromkeys((*_machinery, directory + os.sep)))


def owner(filename: str) -> int:
    """Whose code `filename` is."""
    found = _owners.get(filename)
    if found is None:
        if filename.startswith(_machinery):
            found = MACHINERY
        elif filename.startswith("<frozen ") or any(place in filename for place in LIBRARY_DIRECTORIES):
            found = LIBRARY
        else:
            found = USER
        _owners[filename] = found
    return found


STEPPERS = {"_run", "_run_once", "__call__"}
"""Functions of the machinery that run a poll or a callback. Other schedulers' are added."""
RUNNERS = frozenset((*STEPPERS, "run", "run_until_complete", "run_forever"))
"""Functions of the machinery that run a poll, a callback or a loop: what called them spawns nothing."""


def spawn_site(coroutine_code: int, factory: Any) -> FrameType | None:
    """The frame that spawns a task, from inside the hook that `call_soon` reached.

    `coroutine_code` is the id of the coroutine's code object, the key of `depths`. `factory` is the loop's
    task factory: what calls *it* spawns, so its own frames are passed over. The user's own frame is preferred
    to a library's; frames beyond the loop's callback runner belong to somebody else and do not count. None
    where there is none, as for `loop.call_soon(loop.create_task, coroutine)`.
    """
    return _walk(coroutine_code, None if factory is None else _code_of(factory))


def _walk(coroutine_code: int, factory_code: CodeType | None) -> FrameType | None:
    first: FrameType | None = None
    frame: FrameType | None = sys._getframe(2)
    depth = 0
    while frame is not None:
        code = frame.f_code
        belongs = owner(code.co_filename)
        if belongs == MACHINERY:
            if code.co_name in STEPPERS:
                break
        elif code is factory_code:
            first = None
        elif belongs == USER and factory_code is None:
            depths[coroutine_code] = depth
            return frame
        elif first is None or (belongs == USER and owner(first.f_code.co_filename) != USER):
            first = frame
        frame = frame.f_back
        depth += 1
    return first


def _code_of(function: Any) -> CodeType | None:
    function = getattr(function, "func", function)  # functools.partial
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(vars(type(function)).get("__call__"), "__code__", None)
    return code
