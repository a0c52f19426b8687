"""Locks that a suspended coroutine has taken by calling `acquire()`, without a block: told by its code.

What it holds shows nowhere else. It holds a lock, probably, where the last thing that the code before the
present place does with it is to await its `acquire()`, and it is locked.
"""

from __future__ import annotations

import asyncio
import dis
import inspect
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any, NamedTuple

from asynctop.core.sites import ASYNCIO_DIRECTORY

LARGEST_CODE = 3_000
"""Bytes of code of the largest function that is read: it is done on the program's loop."""
MOST_CODES = 256
"""Functions remembered. Where there are more, it begins anew."""

_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
_VARIABLES = ("LOAD_FAST", "LOAD_DEREF", "LOAD_GLOBAL", "LOAD_NAME")
_AWAIT = 4
"""Instructions from the name of a method to the `await` of its call, the call's own ones."""


class _Use(NamedTuple):
    """One `await X.acquire()`, or one `X.release()`."""

    after: int
    """The offset from which on it has been done."""
    acquires: bool
    path: tuple[str, ...]
    """X: a variable, and attributes."""


_uses: dict[CodeType, list[_Use]] = {}


def forget_uses() -> None:
    """Let go of the program's code."""
    _uses.clear()


def taken_by_hand(frame: FrameType) -> Iterator[Any]:
    """The locks and conditions of asyncio that the coroutine of this frame has probably acquired."""
    code = frame.f_code
    if (
        "acquire" not in code.co_names
        or len(code.co_code) > LARGEST_CODE
        or code.co_filename.startswith(ASYNCIO_DIRECTORY)
    ):
        return
    if (uses := _uses.get(code)) is None:
        if len(_uses) >= MOST_CODES:
            _uses.clear()
        uses = _uses[code] = list(_of_code(code))
    last = {use.path: use for use in uses if use.after < frame.f_lasti}
    for use in last.values():
        if use.acquires and _is_locked(found := _value(frame, use.path)):
            yield found


def _of_code(code: CodeType) -> Iterator[_Use]:
    instructions = list(dis.get_instructions(code))
    for index, each in enumerate(instructions):
        if each.opname not in _ATTRIBUTES or each.argval not in ("acquire", "release"):
            continue
        path = _path(instructions, index)
        if path is None:
            continue
        if each.argval == "release":
            yield _Use(each.offset, False, path)
        elif any(later.opname == "GET_AWAITABLE" for later in instructions[index : index + _AWAIT]):
            end = next(
                (each for each in instructions[index:] if each.opname == "JUMP_BACKWARD_NO_INTERRUPT"), None
            )
            if end is not None:
                yield _Use(end.offset, True, path)


def _path(instructions: list[dis.Instruction], index: int) -> tuple[str, ...] | None:
    """The variable, and attributes, whose method is named at `index`."""
    names: list[str] = []
    for each in reversed(instructions[:index]):
        if each.opname in _ATTRIBUTES:
            names.append(each.argval)
        elif each.opname.startswith(_VARIABLES):
            variable = each.argval[-1] if isinstance(each.argval, tuple) else each.argval
            return str(variable), *reversed(names)
        else:
            break
    return None


def _value(frame: FrameType, path: tuple[str, ...]) -> Any:
    """What is found there without running anything; None for nothing."""
    variable, *names = path
    value = frame.f_locals.get(variable, frame.f_globals.get(variable))
    for name in names:
        value = inspect.getattr_static(value, name, None)
    return value


def _is_locked(resource: Any) -> bool:
    if isinstance(resource, asyncio.Condition):
        resource = resource._lock  # type: ignore[attr-defined]
    return isinstance(resource, asyncio.Lock) and resource._locked is True  # type: ignore[attr-defined]
