"""Short texts for a person: a callback's name, an exception, whatever a program calls its tasks.

Nothing here runs the program's own code.
"""

from __future__ import annotations

from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

MAX_NAME = 200
"""Characters of a callback's or exception's text that are kept: as much as a person reads."""


def clipped(text: Any) -> str:
    """A text of the program's, as long as it is kept, and without the program's own kinds of text."""
    return (
        text[:MAX_NAME]
        if type(text) is str
        else str.__str__(text)[:MAX_NAME]
        if isinstance(text, str)
        else ""
    )


_PLAIN = (FunctionType, MethodType, BuiltinFunctionType, type)
"""Callables whose qualified name is the interpreter's own: asking for it runs nothing of the program's."""


def describe(callback: Any) -> str:
    """A callback's name for a person: its qualified name, found inside partials; else that of its type."""
    if callback is None:
        return ""  # its handle was cancelled while it runs
    while type(callback) is partial:
        callback = callback.func
    name = callback.__qualname__ if type(callback) in _PLAIN else type(callback).__qualname__
    if name == "_set_result_unless_cancelled":  # asyncio's own, set by sleep()
        return "sleep"
    return str(name)[:MAX_NAME]


def code_of(coroutine: Any) -> CodeType | None:
    """The code object of a coroutine or generator; None for an awaitable that is not written in Python."""
    for attribute in ("cr_code", "gi_code", "ag_code"):
        code = getattr(coroutine, attribute, None)
        if isinstance(code, CodeType):
            return code
    return None


def exception_text(exception: BaseException) -> str:
    """ "Type: text", or the type alone where making the text would run the program's own code."""
    name = type(exception).__qualname__[:MAX_NAME]
    own_text = getattr(type(exception).__str__, "__objclass__", None)  # None: written in Python
    if own_text is None:
        return name
    try:
        if all(type(part) in (str, int, float, bool) for part in exception.args):
            return f"{name}: {exception}"[:MAX_NAME]
    except Exception:  # what the text is made of, as an OSError's filename, may be the program's own
        pass
    return name
