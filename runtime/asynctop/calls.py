"""Where a coroutine was called that nobody awaited: by the frame that drops it, or by the code itself."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from itertools import islice, pairwise
from types import CodeType, CoroutineType, FrameType, FunctionType
from typing import Any

from asynctop.stacks import MAX_TEXT, Frame

MOST_CODE = 2_000
"""Functions that are searched: it happens on the program's own time, once for each coroutine function."""

_DROPS = ("STORE_", "DELETE_", "POP_")
"""Instructions that drop what they find in a variable, or on the stack."""

_found: dict[CodeType, Frame | None] = {}


def calling_line(frame: FrameType, name: str) -> int | None:
    """The line of the call of `name` whose value `frame` drops just now, None where it does not tell.

    Mostly the value is thrown away at once. If not, and it was kept in a variable that is given another
    value, then the name of what was called stands before that. What is dropped by a function that returns is
    found in its caller, of whose lines none is to blame."""
    line = mentioned = None
    now = ""
    for instruction in dis.get_instructions(frame.f_code):
        if instruction.offset > frame.f_lasti:
            break
        now = instruction.opname
        line = _start(instruction)[0] or line
        if instruction.argval == name and now.startswith("LOAD_"):
            mentioned = line
    return frame.f_lineno if now == "POP_TOP" else mentioned if now.startswith(_DROPS) else None


def only_call(coroutine: CoroutineType[Any, Any, Any]) -> Frame | None:
    """The one place in the coroutine's own module that keeps its like in a variable and never awaits that;
    None where there is none, or several."""
    code = coroutine.cr_code
    if code not in _found:
        if len(_found) >= 64:
            _found.clear()
        namespace = coroutine.cr_frame.f_globals if coroutine.cr_frame is not None else {}
        places = {
            place
            for each in islice(_functions(namespace), MOST_CODE)
            if coroutine.__name__ in (*each.co_names, *each.co_varnames, *each.co_freevars)
            for place in _kept(each, coroutine.__name__)
        }
        _found[code] = places.pop() if len(places) == 1 else None
    return _found[code]


def _functions(namespace: dict[str, Any]) -> Iterator[CodeType]:
    """The code of a module's functions and methods, and of those in them."""
    for value in list(namespace.values()):
        for each in list(vars(value).values()) if type(value) is type else (value,):
            function = getattr(each, "__func__", each) if type(each) in (staticmethod, classmethod) else each
            if type(function) is FunctionType and function.__globals__ is namespace:
                yield from _with_inner(function.__code__)


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _with_inner(each)


def _kept(code: CodeType, name: str) -> Iterator[Frame]:
    """The calls of `name` whose value is kept in a variable that is not awaited."""
    instructions = list(dis.get_instructions(code))
    pairs = list(pairwise(instructions))
    awaited = {_last(one.argval) for one, other in pairs if other.opname == "GET_AWAITABLE"}
    starts = {
        _start(each) for each in instructions if each.argval == name and each.opname.startswith("LOAD_")
    }
    for call, kept in pairs:
        if call.opname.startswith("CALL") and _start(call) in starts and kept.opname.startswith("STORE_"):
            variable = kept.argval[0] if isinstance(kept.argval, tuple) else kept.argval
            if variable not in awaited:
                line = _start(call)[0] or code.co_firstlineno
                yield code.co_qualname[-MAX_TEXT:], code.co_filename[-MAX_TEXT:], line


def _last(argument: Any) -> Any:
    """The last of the variables that one instruction loads."""
    return argument[-1] if isinstance(argument, tuple) else argument


def _start(instruction: dis.Instruction) -> tuple[int | None, int | None]:
    """Where the expression begins that an instruction belongs to."""
    positions = instruction.positions
    return (positions.lineno, positions.col_offset) if positions is not None else (None, None)
