"""What a suspended frame can still use: the names in the instructions that it can still come to.

A variable that no such instruction loads is as good as gone, though the frame holds it until it ends.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator, Set
from functools import lru_cache
from types import CodeType
from typing import NamedTuple

from asynctop.awaits.by_hand import mentions_in

BEGINNING = -1
"""Where code is that has not begun."""
LONGEST = 1_200
"""Bytes of code that are followed, which takes about a millisecond; longer code may use all it knows."""

_ACQUIRE, _RELEASE = "acquire", "release"
_ENDS = ("RETURN_VALUE", "RETURN_CONST", "RERAISE", "RAISE_VARARGS")
_NEVER_PASSED = ("JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT")


class Uses(NamedTuple):
    """What code can use."""

    names: frozenset[str]
    """Of globals and attributes."""
    variables: frozenset[str]
    """Local ones, and those of enclosing functions."""


@lru_cache(maxsize=4096)
def uses_of(code: CodeType) -> Uses:
    """What code can use from its beginning on, with the functions and classes that are defined in it."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= uses_of(constant).names
    return Uses(frozenset(names), frozenset((*code.co_varnames, *code.co_cellvars, *code.co_freevars)))


@lru_cache(maxsize=4096)
def uses_from(code: CodeType, at: int) -> Uses:
    """What code can use that is suspended in the instruction at this offset."""
    if len(code.co_code) > LONGEST:
        return uses_of(code)
    names: set[str] = set()
    variables: set[str] = set()
    for each in _following(code, at, set()):
        if each.opcode in dis.hasname:
            names.add(each.argval)
        elif each.opcode in dis.haslocal or each.opcode in dis.hasfree:
            if not each.opname.startswith(("STORE_", "DELETE_")) or "_LOAD_" in each.opname:
                variables.update(each.argval if isinstance(each.argval, tuple) else (each.argval,))
        elif each.opcode in dis.hasconst and isinstance(each.argval, CodeType):
            names |= uses_of(each.argval).names
    return Uses(frozenset(names), frozenset(variables))


@lru_cache(maxsize=4096)
def releases_from(code: CodeType, at: int = BEGINNING) -> bool:
    """Whether code that is suspended in the instruction at this offset, or is called, may release something
    that it does not acquire before that: it has it already, or was told to by whoever has."""
    if _RELEASE not in uses_of(code).names:
        return False
    if len(code.co_code) > LONGEST or any(
        releases_from(constant) for constant in code.co_consts if isinstance(constant, CodeType)
    ):
        return True
    mentions = list(mentions_in(code, (_ACQUIRE, _RELEASE)))
    # Who is about to acquire it has not got it yet.
    waits = {each.path for each in mentions if each.name == _ACQUIRE and each.offset <= at < each.end}
    for path in {each.path for each in mentions if each.name == _RELEASE} - waits:
        ends = {each.offset for each in mentions if each.path == path and each.name == _ACQUIRE}
        releases = {each.offset for each in mentions if each.path == path and each.name == _RELEASE}
        if any(each.offset in releases for each in _following(code, at, ends if path else set())):
            return True
    return False


def _following(code: CodeType, at: int, ends: Set[int]) -> Iterator[dis.Instruction]:
    """The instructions that can still be come to from the one at this offset, and not beyond `ends`."""
    decoded = dis.Bytecode(code)
    instructions = {each.offset: each for each in decoded}
    following = dict(zip(instructions, [*list(instructions)[1:], None], strict=True))
    handlers = [(each.start, each.end, each.target) for each in decoded.exception_entries]  # type: ignore[attr-defined]
    seen: set[int] = set()
    ways: list[int | None] = [0]
    if at != BEGINNING:
        at = max(offset for offset in instructions if offset <= at)  # it may be said by its inline cache
        # Beyond the instruction, or where what it waits for raises.
        ways = [following[at], *(target for start, end, target in handlers if start <= at < end)]
    while ways:
        offset = ways.pop()
        if offset is None or offset in seen:
            continue
        seen.add(offset)
        each = instructions[offset]
        yield each
        if offset in ends:
            continue
        ways += [target for start, end, target in handlers if start <= offset < end]
        if each.opcode in dis.hasjrel or each.opcode in dis.hasjabs:
            ways.append(each.argval)
        if each.opname not in _ENDS and each.opname not in _NEVER_PASSED:
            ways.append(following[offset])
