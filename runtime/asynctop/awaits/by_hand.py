"""Locks that a suspended coroutine took by calling `acquire()`, and has not let go of: told by its code.

A coroutine is inside of such a pair where the last call of either before its place is `acquire()`, and what
follows is `release()` of the same thing: either next in the code, or in the `finally` around the place.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator, Sequence
from types import CodeType, FrameType, MemberDescriptorType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from asynctop.attributes import MISSING, static

LARGEST_CODE = 20_000
"""Bytes of code of the largest function that is read: reading it takes some milliseconds."""

_TAKES, _LETS_GO = "acquire", "release"
_ROOTS = ("LOAD_FAST", "LOAD_DEREF", "LOAD_GLOBAL", "LOAD_NAME")
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
_ENDS = ("STORE_", "POP_TOP", "POP_JUMP", "RETURN_", "RERAISE")
"""Instructions at which a statement's value is used up."""


class _Call(NamedTuple):
    """A call of one of the two."""

    offset: int
    """Where its statement ends: whoever waits in it is before that."""
    takes: bool
    path: tuple[str, ...]
    """Of names: ("self", "lock")."""
    plain: bool
    """Whether the statement is the call and nothing else: what it returns decides nothing."""


_calls: WeakKeyDictionary[CodeType, list[_Call]] = WeakKeyDictionary()


def taken_by_hand(frame: FrameType) -> Iterator[Any]:
    """The objects between whose `acquire()` and `release()` the coroutine of this frame is suspended."""
    code, now = frame.f_code, frame.f_lasti
    if not {_TAKES, _LETS_GO} <= set(code.co_names) or len(code.co_code) > LARGEST_CODE:
        return
    if (calls := _calls.get(code)) is None:
        calls = _calls[code] = list(_calls_in(code))
    for path in dict.fromkeys(call.path for call in calls):
        mine = [call for call in calls if call.path == path]
        before = next((call for call in reversed(mine) if call.offset <= now), None)
        after = next((call for call in mine if call.offset > now), None)
        if before is None or after is None or not before.takes or after.takes:
            continue
        if before.plain or _in_finally(code, now, mine):
            yield _value(frame, path)


class Mention(NamedTuple):
    """Where code looks up an attribute."""

    offset: int
    end: int
    """Offset of the end of the statement: whoever waits in it is before that."""
    name: str
    path: tuple[str, ...]
    """Of names before it: ("self", "lock"); () where there are not only names."""
    plain: bool
    """Whether the statement calls it and does nothing else."""


def mentions_in(code: CodeType, names: Sequence[str]) -> Iterator[Mention]:
    """Where these attributes are looked up, in the order of the code."""
    instructions = list(dis.get_instructions(code))
    for index, each in enumerate(instructions):
        if each.opname in _ATTRIBUTES and each.argval in names:
            last = next((i for i in range(index, len(instructions)) if _is_end(instructions[i])), -1)
            calls = sum(step.opname.startswith("CALL") for step in instructions[index:last])
            plain = calls == 1 and instructions[last].opname == "POP_TOP"
            path = _path(instructions, index)
            yield Mention(each.offset, instructions[last].offset, each.argval, path, plain)


def _calls_in(code: CodeType) -> Iterator[_Call]:
    """In the order of the code."""
    for each in mentions_in(code, (_TAKES, _LETS_GO)):
        if each.path:
            yield _Call(each.end, each.name == _TAKES, each.path, each.plain)


def _is_end(instruction: dis.Instruction) -> bool:
    return instruction.opname.startswith(_ENDS)


def _path(instructions: list[dis.Instruction], index: int) -> tuple[str, ...]:
    """The names before an attribute; () where there are not only names."""
    names: list[str] = []
    for each in reversed(instructions[:index]):
        if each.opname in _ATTRIBUTES:
            names.append(each.argval)
        elif each.opname.startswith(_ROOTS):
            names.append(each.argval[-1] if isinstance(each.argval, tuple) else each.argval)
            return tuple(reversed(names))
        else:
            break
    return ()


def _in_finally(code: CodeType, now: int, calls: list[_Call]) -> bool:
    """Whether what handles any exception of this place lets go."""
    entries = dis.Bytecode(code).exception_entries  # type: ignore[attr-defined]
    return any(
        entry.start <= now < entry.end
        and any(not each.takes and each.offset > entry.target for each in calls)
        for entry in entries
    )


def _value(frame: FrameType, path: tuple[str, ...]) -> Any:
    """What is found under these names now, without running anything of the program's."""
    root, *attributes = path
    value = frame.f_locals.get(root, frame.f_globals.get(root))
    for name in attributes:
        value = static(value, name)
        if value is MISSING or type(value) is MemberDescriptorType:
            return None
    return value
