"""What a suspended coroutine has already read from a stream: told by its code, and by its variables.

Of a coroutine's past only its variables are left. That it has awaited something to the end is known where
the code before the present place assigns that to a variable, and the variable is bound; that it collects
pieces, where a loop around the present place adds to a variable that is not empty. What is kept in attributes
outlives the coroutine, and is no concern of ours.
"""

from __future__ import annotations

import dis
import gc
from collections.abc import Iterator
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, NamedTuple

LARGEST_CODE = 20_000
"""Bytes of code of the largest function that is read: reading it takes some milliseconds."""
MOST_CODES = 256
"""Functions remembered. Where there are more, it begins anew."""
DEEPEST = 2
"""Attributes between an object and its reader: `self.connection.reader`."""
WIDEST = 100
"""Attributes of one object that are looked at."""

_READS = frozenset(("read", "readexactly", "readline", "readuntil", "__anext__"))
"""Methods of a stream reader that take bytes from it."""
_ADDS = frozenset(("append", "extend", "write"))
_LOADS = ("LOAD_FAST", "LOAD_DEREF", "LOAD_GLOBAL", "LOAD_NAME", "LOAD_ATTR", "LOAD_METHOD")
_CAUGHT = frozenset(("BaseException", "CancelledError", "Exception", "OSError", "TimeoutError"))
"""What a handler is for that catches a cancellation, or a timeout."""
_ENDS = ("STORE_", "POP_TOP", "POP_JUMP", "RETURN_", "RERAISE")
"""Instructions at which a statement's value is used up."""


class _Site(NamedTuple):
    """An `await`, or the one in an `async for`."""

    first: int
    last: int
    """Offsets of its instructions: `f_lasti` of who waits there lies within."""
    position: object
    """In the source: a loop's condition is there twice in the code."""
    names: frozenset[str]
    """Variables and attributes in what is awaited."""
    target: str
    """The local variable that the result is for, "" where there is none."""
    handler: int
    """Offset of what catches a cancellation there, or the timeout that it may become; 0 for nothing."""


class _Outline(NamedTuple):
    """What a function's code tells."""

    sites: list[_Site]
    loops: list[tuple[int, int]]
    growing: frozenset[str]
    """Local variables that something is added to."""


class Taken(NamedTuple):
    """What a coroutine has read of something that it has not got to the end of."""

    place: int
    """Offset in its code of where it waits."""
    names: list[str]
    """Its variables that hold it."""
    identities: dict[str, int]
    """The ids of their values."""
    values: list[Any]
    """Their values, as far as these are bytes and text, or collect them."""
    caught: bool
    """Whether the coroutine may have caught what became of the cancellation, and have gone on."""
    later: dict[str, Any]
    """The variables that what is read at the present place, and after it, is for, and their values."""


_outlines: dict[CodeType, _Outline] = {}


def forget_outlines() -> None:
    """Let go of the program's code."""
    _outlines.clear()


def taken(frame: FrameType, reader: Any) -> Taken | None:
    """What the coroutine of this frame has read from `reader` into its variables; None where that is nothing,
    or not known."""
    code, now = frame.f_code, frame.f_lasti
    if len(code.co_code) > LARGEST_CODE:
        return None
    if (outline := _outlines.get(code)) is None:
        if len(_outlines) >= MOST_CODES:
            _outlines.clear()
        outline = _outlines[code] = _outline(code)
    here = next((site for site in outline.sites if site.first <= now <= site.last), None)
    if here is None:
        return None
    earlier = [
        site
        for site in outline.sites
        if site.target
        and site.last < now
        and site.position != here.position
        # What comes before a `try` is not undone by what is caught there.
        and site.handler == here.handler
    ]
    repeats = any(first <= now <= last for first, last in outline.loops)
    if not earlier and not (repeats and outline.growing):
        return None
    local = frame.f_locals
    names = [site.target for site in earlier if site.target in local and _reads(site, frame, local, reader)]
    if repeats:
        given = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        grown = outline.growing.difference(given, names)
        names += sorted(name for name in grown if is_content(local.get(name)))
    if not names:
        return None
    later = {site.target for site in outline.sites if site.last >= now}.difference(names, ("",))
    return Taken(
        here.first,
        names,
        {name: id(local[name]) for name in names},
        [local[name] for name in names if is_content(local[name])],
        here.handler != 0,
        {name: local.get(name) for name in sorted(later)},
    )


def is_content(value: Any) -> bool:
    """Whether it holds something that can have been read. One byte or letter is the same object everywhere,
    and tells nothing."""
    if type(value) is list:
        return bool(value) and all(type(each) in (bytes, str) for each in value)
    return type(value) in (bytes, bytearray, str) and len(value) > 1


def _outline(code: CodeType) -> _Outline:
    instructions = list(dis.get_instructions(code))
    sites: list[_Site] = []
    loops: list[tuple[int, int]] = []
    growing: set[str] = set()
    names: set[str] = set()
    before: tuple[str, Any, str] = "", None, ""
    for index, each in enumerate(instructions):
        operation, value = each.opname, each.argval
        if operation.startswith(_ENDS):
            if before[::2] == ("BINARY_OP", "+=") and operation.startswith("STORE_FAST"):
                growing.add(_first(value))
            names.clear()
            if operation == "STORE_FAST_LOAD_FAST":
                names.add(value[1])
        elif operation.startswith(_LOADS):
            if before[0].startswith("LOAD_FAST") and value in _ADDS:
                growing.add(_last(before[1]))
            names.update(value if isinstance(value, tuple) else (value,))
        elif operation in ("GET_AWAITABLE", "GET_ANEXT"):
            if operation == "GET_ANEXT":
                names.add("__anext__")
            last, target = _rest(instructions, index)
            handler = _handler(code, instructions, each.offset)
            sites.append(_Site(each.offset, last, each.positions, frozenset(names), target, handler))
        if "JUMP_BACKWARD" in operation and operation != "JUMP_BACKWARD_NO_INTERRUPT":
            loops.append((value, each.offset))
        before = operation, value, each.argrepr
    return _Outline(sites, loops, frozenset(growing))


def _handler(code: CodeType, instructions: list[dis.Instruction], offset: int) -> int:
    """The offset of the innermost handler around this place that is for cancellations or timeouts, else 0."""
    entries = dis.Bytecode(code).exception_entries  # type: ignore[attr-defined]
    seen: set[int] = set()
    while True:
        target = next((each.target for each in entries if each.start <= offset < each.end), None)
        if target is None or target in seen:
            return 0
        seen.add(target)
        offset = target
        if _catches(each for each in instructions if each.offset >= target):
            return int(target)


def _catches(handler: Iterator[dis.Instruction]) -> bool:
    names: set[str] = set()
    before = next(handler)
    if before.opname != "PUSH_EXC_INFO":
        return False
    for each in handler:
        if each.opname == "CHECK_EXC_MATCH":
            if names & _CAUGHT:
                return True
            names.clear()
        elif each.opname.startswith(_LOADS):
            names.add(_last(each.argval))
        elif each.opname in ("PUSH_EXC_INFO", "RERAISE", "WITH_EXCEPT_START"):
            return False
        elif each.opname == "POP_TOP" and before.opname == "PUSH_EXC_INFO":
            return True  # except:
        before = each
    return False


def _rest(instructions: list[dis.Instruction], index: int) -> tuple[int, str]:
    """Where the waiting that begins here ends, and the local variable that the result is for."""
    last = None
    for each in instructions[index + 1 :]:
        if last is None:
            if each.opname == "JUMP_BACKWARD_NO_INTERRUPT":
                last = each.offset
        elif each.opname.startswith(("STORE_FAST", "STORE_DEREF")):
            return last, _first(each.argval)
        elif each.opname.startswith((*_ENDS, "GET_AWAITABLE", "GET_ANEXT")):
            break
    return instructions[index].offset if last is None else last, ""


def _first(names: Any) -> str:
    return str(names[0] if isinstance(names, tuple) else names)


def _last(names: Any) -> str:
    return str(names[-1] if isinstance(names, tuple) else names)


def _reads(site: _Site, frame: FrameType, local: dict[str, Any], reader: Any) -> bool:
    """Whether what is awaited there reads from `reader`: it is called on it, or with it, or is a function of
    the program's that does so."""
    values = [local.get(name, frame.f_globals.get(name)) for name in site.names]
    if any(value is reader for value in values):
        return True
    called = [
        *(value for value in values if isinstance(value, FunctionType)),
        *(function for value in values for function in _methods(value, site.names)),
    ]
    return (
        bool(site.names & _READS)
        or any(not _READS.isdisjoint(function.__code__.co_names) for function in called)
    ) and any(_leads_to(value, reader, DEEPEST) for value in values)


def _methods(value: Any, names: frozenset[str]) -> Iterator[FunctionType]:
    for kind in type(value).__mro__:
        for name in names:
            if isinstance(function := vars(kind).get(name), FunctionType):
                yield function


def _leads_to(value: Any, reader: Any, deep: int) -> bool:
    """Whether `reader` is among the object's attributes, theirs, or what a function has from around it."""
    if value is None or isinstance(value, ModuleType | type | str | bytes | int):
        return False
    found: list[Any]
    if isinstance(value, FunctionType):
        found = gc.get_referents(*(value.__closure__ or ()))
    else:
        parts = gc.get_referents(value)[:WIDEST]
        found = [each for part in parts for each in (part.values() if type(part) is dict else (part,))]
    return any(each is reader for each in found) or (
        deep > 1 and any(_leads_to(each, reader, deep - 1) for each in found[:WIDEST])
    )
