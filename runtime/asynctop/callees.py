"""What a frame is calling while the call lasts, where that is C code: such a call has no frame of its own.

The frame's bytecode says from where the called object was loaded, and it is looked up there once more, in
names, attributes and plain containers, without running anything of the program's: what is behind a property,
a `__getattr__` or another call stays unknown. On the stall watcher's thread, for stacks that it reads.
"""

from __future__ import annotations

import dis
import functools
import inspect
import sys
from types import (
    BuiltinFunctionType,
    CodeType,
    FrameType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, NamedTuple

from asynctop.attributes import METHODS, MISSING, is_type, static

MOST_CODE = 40_000
"""Bytes of bytecode in which a call is searched for, some milliseconds' worth: few functions are longer."""

MOST_STEPS = 400
"""Instructions between a callable and its call: more is a table of data rather than arguments."""

_JUMPS = frozenset((*dis.hasjrel, *dis.hasjabs))
_SHOWS_LOCALS = frozenset(("locals", "vars", "dir", "eval", "exec", "_getframe", "currentframe"))
_PUBLIC = {"posix": "os", "nt": "os", "_thread": "_thread"}
"""Modules' names that people know, where they are not the same without an underscore."""

_MODULE = type.__dict__["__module__"]
_QUALNAME = type.__dict__["__qualname__"]


class _Step(NamedTuple):
    """An instruction, without its prefixes and caches."""

    start: int
    name: str
    op: int
    arg: int
    level: int
    """How many values are on the stack before it, up to a constant within a run of code."""


class _Value(NamedTuple):
    """A value on the stack that is known."""

    value: Any


_NULL = object()
"""What accompanies a callable on the stack: nothing, or what its method is bound to."""

_Item = _Value | str | object
"""A value, or how it was come by ("open()"), or `_NULL`, or what is not known: ""."""


def callee(frame: FrameType) -> str:
    """The name of the C function that `frame` is calling, as in "time.sleep" or "sqlite3.Connection.execute";
    "" where it is in no call, or in one of Python code, or nothing can be known."""
    try:
        steps = _steps(frame.f_code)
        lasti = frame.f_lasti
        at = max(index for index, step in enumerate(steps) if step.start <= lasti)
        if steps[at].name == "CALL" and steps[at - 1].name == "PRECALL":
            at -= 1
        return _called(frame, steps, at)
    except Exception:  # what is not understood is not known
        return ""


def in_call(frame: FrameType) -> bool:
    """Whether the frame is at an instruction that calls something; a loop, for one, lets others run at its
    end only, and is always seen there."""
    name = dis.opname[frame.f_code.co_code[frame.f_lasti]]
    return name.startswith(("CALL", "PRECALL", "BEFORE_", "FOR_ITER", "CACHE", "LOAD_", "STORE_", "BINARY_"))


def _steps(code: CodeType) -> list[_Step]:
    raw = code.co_code
    if len(raw) > MOST_CODE:
        return []
    found: list[_Step] = []
    levels: dict[int, int] = {}
    level = extended = prefixed = 0
    for offset in range(0, len(raw), 2):
        op, arg = raw[offset], raw[offset + 1] | extended
        if op == dis.opmap["CACHE"]:
            continue
        if op == dis.EXTENDED_ARG:
            extended, prefixed = arg << 8, prefixed + 2
            continue
        level = levels.get(offset - prefixed, level)
        name = dis.opname[op]
        operand = arg if op >= dis.HAVE_ARGUMENT else None
        if op in _JUMPS and "BACKWARD" not in name:
            following = offset + 2
            while following < len(raw) and raw[following] == dis.opmap["CACHE"]:
                following += 2
            levels.setdefault(following + 2 * arg, level + dis.stack_effect(op, operand, jump=True))
        found.append(_Step(offset, name, op, arg, level))
        level += dis.stack_effect(op, operand, jump=False)
        extended = prefixed = 0
    return found


def _operands(step: _Step) -> int:
    """How many values a call takes off the stack; 0 where it is none."""
    if step.name in ("CALL", "PRECALL"):
        return step.arg + 2
    if step.name == "CALL_KW":
        return step.arg + 3
    if step.name == "CALL_FUNCTION_EX":
        return 3 + (step.arg & 1) if _SAYS_KEYWORDS else 4
    if step.name == "FOR_ITER":
        return _ITERATOR
    return int(step.name == "BEFORE_WITH")


_SAYS_KEYWORDS = dis.opmap["CALL_FUNCTION_EX"] >= dis.HAVE_ARGUMENT
"""Whether `CALL_FUNCTION_EX` says in its lowest bit that there are keywords; else they have a place."""
_ITERATOR = 1 + (dis.opmap["GET_ITER"] >= dis.HAVE_ARGUMENT)
"""How many values an iterator is on the stack: a position may be with it."""
_BEFORE_ENTER = 2
"""Values that are on the stack, from 3.14 on, while a context manager is entered: its `__exit__`, bound."""


def _called(frame: FrameType, steps: list[_Step], at: int) -> str:
    call = steps[at]
    taken = _operands(call)
    if not taken:
        return ""
    below = _BEFORE_ENTER if steps[at - 1].name == "LOAD_SPECIAL" else 0
    base = call.level - taken - below
    first = at - 1
    while steps[first].level != base:
        first -= 1
        if first < 0 or at - first > MOST_STEPS:
            return ""
    names = _Names(frame)
    stack: list[_Item] = []
    for step in steps[first:at]:
        del stack[step.level - base :]
        stack += [""] * (step.level - base - len(stack))
        _take(names, step, stack)
    if call.name in ("BEFORE_WITH", "FOR_ITER"):
        method = "__enter__" if call.name == "BEFORE_WITH" else "__next__"
        return _text(_special(stack[0], method))
    return _text(next(item for item in stack[below : below + 2] if item is not _NULL))


def _take(names: _Names, step: _Step, stack: list[_Item]) -> None:
    """What an instruction does to the stack."""
    name, arg, code = step.name, step.arg, names.code
    if name == "LOAD_GLOBAL":
        stack += [_NULL] * (arg & 1) + [names.outer(code.co_names[arg >> 1])]
    elif name == "LOAD_NAME":
        stack.append(names.outer(code.co_names[arg]))
    elif name in ("LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW"):
        stack += [names.local(arg >> 4), names.local(arg & 15)]
    elif name in ("LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK", "LOAD_DEREF", "LOAD_CLASSDEREF"):
        stack.append(names.local(arg))
    elif name == "LOAD_CONST":
        stack.append(_Value(code.co_consts[arg]))
    elif name == "LOAD_SMALL_INT":
        stack.append(_Value(arg))
    elif name == "PUSH_NULL":
        stack.append(_NULL)
    elif name == "LOAD_METHOD":
        stack += [_attribute(stack.pop(), code.co_names[arg]), _NULL]
    elif name == "LOAD_ATTR":
        method = _SHIFTED_ATTRIBUTES and arg & 1
        stack += [_attribute(stack.pop(), code.co_names[arg >> _SHIFTED_ATTRIBUTES])] + [_NULL] * method
    elif name == "BINARY_SUBSCR" or (name == "BINARY_OP" and arg == _SUBSCRIPTION):
        key = stack.pop()
        stack.append(_item(stack.pop(), key))
    elif name == "BEFORE_WITH":
        stack += [_special(stack.pop(), "__exit__"), ""]
    elif name == "COPY" and arg <= len(stack):
        stack.append(stack[-arg])
    elif name == "SWAP" and arg <= len(stack):
        stack[-1], stack[-arg] = stack[-arg], stack[-1]
    elif name == "LOAD_SPECIAL":
        stack += [_special(stack.pop(), _SPECIALS[arg]), _NULL]
    elif name == "GET_ITER" or name.startswith(("POP_", "STORE_")):
        pass  # files and cursors are their own iterators; what is taken away is gone at the next step
    else:
        effect = dis.stack_effect(step.op, arg if step.op >= dis.HAVE_ARGUMENT else None, jump=False)
        result: _Item = ""
        if name in ("CALL", "CALL_KW", "CALL_FUNCTION_EX") and len(stack) + effect == 1:
            called = next((item for item in stack[:2] if item is not _NULL), "")
            result = f"{text}()" if (text := _text(called)) else ""
        elif name == "PRECALL":
            return  # a part of the call that follows
        del stack[max(len(stack) + effect - 1, 0) :]
        stack.append(result)


_SUBSCRIPTION = [name for name, _ in dis._nb_ops].index("NB_SUBSCR") if sys.version_info >= (3, 14) else -1  # type: ignore[attr-defined]
_SPECIALS = ("__enter__", "__exit__", "__aenter__", "__aexit__")
_SHIFTED_ATTRIBUTES = int("LOAD_METHOD" not in dis.opmap or dis.opmap["LOAD_METHOD"] >= 256)
"""1 where `LOAD_ATTR` loads methods too, and says so in its lowest bit."""


class _Names:
    """A frame's variables."""

    def __init__(self, frame: FrameType) -> None:
        self.code = frame.f_code
        self._frame = frame
        code = frame.f_code
        own = set(code.co_varnames)
        self._locals = (
            *code.co_varnames,
            *(name for name in code.co_cellvars if name not in own),
            *code.co_freevars,
        )

    def outer(self, name: str) -> _Item:
        """A global or a builtin."""
        for scope in (self._frame.f_globals, self._frame.f_builtins):
            if dict.__contains__(scope, name):
                return _Value(dict.__getitem__(scope, name))
        return ""

    def local(self, index: int) -> _Item:
        """A local variable, or one of an enclosing function."""
        name = self._locals[index]
        code, frame = self.code, self._frame
        if not code.co_flags & inspect.CO_NEWLOCALS or frame.f_trace is not None:
            return ""
        if _SHOWS_LOCALS & set(code.co_names):
            return ""  # before 3.13 it may hold the very dictionary that is brought up to date for us
        variables = frame.f_locals
        found: _Item = _Value(variables[name]) if name in variables else ""
        if type(variables) is dict:
            variables.clear()  # or what the program lets go of would stay alive for as long as the frame
        return found


def _attribute(item: _Item, name: str) -> _Item:
    if isinstance(item, str):
        return f"{item}.{name}" if item else ""
    if not isinstance(item, _Value):
        return ""
    found = static(item.value, name)
    if found is MISSING:
        return ""
    if type(found) is MemberDescriptorType and not is_type(item.value):
        found = found.__get__(item.value)  # a slot: as plain as an instance's dictionary
    if type(found) in (staticmethod, classmethod):
        found = found.__func__
    if type(found) is property:
        return ""
    return _Value(found)


def _special(item: _Item, name: str) -> _Item:
    """A special method, which is looked up on the type."""
    return _attribute(_Value(type(item.value)) if isinstance(item, _Value) else item, name)


def _item(item: _Item, key: _Item) -> _Item:
    if not isinstance(item, _Value) or not isinstance(key, _Value):
        return ""
    if type(item.value) not in (dict, list, tuple) or type(key.value) not in (str, int):
        return ""
    try:
        return _Value(item.value[key.value])
    except LookupError:
        return ""


def _text(item: _Item) -> str:
    if isinstance(item, str):
        return item
    if not isinstance(item, _Value):
        return ""
    value = item.value
    while type(value) is functools.partial:
        value = value.func
    kind = type(value)
    if issubclass(kind, BuiltinFunctionType):  # methods that are told their class have a type of their own
        owner = value.__self__
        if owner is None or issubclass(type(owner), ModuleType):
            return _qualified(value.__module__, value.__name__)
        return f"{_type_name(owner if is_type(owner) else type(owner))}.{value.__name__}"
    if kind in METHODS:
        return f"{_type_name(value.__objclass__)}.{value.__name__}"
    if is_type(value):
        return _type_name(value)
    if kind in (FunctionType, MethodType):
        return ""
    # Of other callables only those made in C are in a call without a frame.
    return _type_name(kind) if type(inspect.getattr_static(kind, "__call__", None)) in METHODS else ""


def _type_name(cls: type) -> str:
    return _qualified(_MODULE.__get__(cls), _QUALNAME.__get__(cls))


def _qualified(module: Any, name: str) -> str:
    if not isinstance(module, str) or module == "builtins" or (module in ("io", "_io") and name == "open"):
        return name
    return f"{_PUBLIC.get(module) or module.removeprefix('_')}.{name}"
