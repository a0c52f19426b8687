"""Attributes of the program's objects, read without running anything, and without leaving a trace."""

from __future__ import annotations

import inspect
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

MISSING = object()
METHODS = (MethodDescriptorType, WrapperDescriptorType, ClassMethodDescriptorType)
"""Types of the methods that are made in C."""

_BOUND = (MethodType, BuiltinFunctionType, MethodWrapperType)
_FLAGS = type.__dict__["__flags__"]
_BINDS_AS_METHOD = 1 << 17
"""Py_TPFLAGS_METHOD_DESCRIPTOR: to bind such a descriptor makes a method of it, and runs nothing. Those that
Cython makes have it too: nearly all that uvloop's loop has."""
_SPACE = type.__dict__["__dict__"]
_MRO = type.__dict__["__mro__"]


def static(value: Any, name: str) -> Any:
    """An object's attribute as it is kept, `MISSING` where there is none: a property's is the property.

    As `inspect.getattr_static`, which makes a dictionary of an object's attributes by asking for it: the
    object keeps that, and whatever uses it is slower from then on. Most often it is the loop.
    """
    kind = type(value)
    if is_type(value) or issubclass(kind, ModuleType):
        return inspect.getattr_static(value, name, MISSING)
    of_class = _of_class(kind, name)
    binds = of_class is not MISSING and _of_class(type(of_class), "__get__") is not MISSING
    if binds and any(_of_class(type(of_class), each) is not MISSING for each in ("__set__", "__delete__")):
        return of_class
    if binds and not (_FLAGS.__get__(type(of_class)) & _BINDS_AS_METHOD or type(of_class) in METHODS):
        return inspect.getattr_static(value, name, MISSING)  # to bind it may be to run something
    try:
        found = object.__getattribute__(value, name)
    except AttributeError:
        return MISSING
    if binds and type(found) in _BOUND and (found.__self__ is value or found.__self__ is kind):
        return of_class
    return found


def _of_class(kind: type, name: str) -> Any:
    spaces = map(_SPACE.__get__, _MRO.__get__(kind))
    return next((space[name] for space in spaces if name in space), MISSING)


def is_type(value: Any) -> bool:
    """Whether it is a class, whatever it says of itself."""
    return issubclass(type(value), type)  # isinstance() would ask for its `__class__`
