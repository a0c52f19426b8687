"""Reads one payload, value by value, each of the type that the caller expects.

An ordinary msgpack decoder builds whatever the bytes describe and lets one look at it afterwards: a few
kilobytes of nested arrays, each announcing thousands of items, would reserve megabytes, and the limits of
msgpack's C and Python decoders differ in detail. Here nothing is built that was not asked for: a container is
entered only where one is expected, and what is unknown is skipped without being built.
"""

from __future__ import annotations

from typing import TypeVar

import msgpack  # type: ignore[import-untyped]

from .columns import numbers
from .errors import ProtocolError
from .limits import MAX_ROWS, MAX_TEXT_BYTES

_T = TypeVar("_T", int, str, bool, "memoryview[int]")

_WIDTHS = (1, 2, 4, 8)
_CONTAINERS = frozenset(bytes([byte]) for byte in (*range(0x80, 0xA0), *range(0xDC, 0xE0)))
"""First bytes of msgpack's maps and arrays."""
_NIL = b"\xc0"


class Reader:
    """A position in a payload. Whatever the payload holds, its methods raise nothing but ProtocolError."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._unpacker = msgpack.Unpacker(
            max_buffer_size=max(len(payload), 1),
            max_str_len=MAX_TEXT_BYTES,
            max_array_len=MAX_ROWS,
            # The C decoder counts an extension's type byte as part of its length.
            max_ext_len=MAX_ROWS * max(_WIDTHS) + 1,
            ext_hook=_column,
        )
        self._unpacker.feed(payload)

    def scalar(self, expected: type[_T]) -> _T:
        """The next value: a text, a bool, an int within int64, or a column (memoryview)."""
        if self._next() in _CONTAINERS:
            raise ProtocolError(f"expected {_NAMES[expected]}, found a container")
        try:
            value = self._unpacker.unpack()
        except _MALFORMED as error:
            raise _malformed(error) from None
        if type(value) is not expected or (type(value) is int and value >= 1 << 63):
            raise ProtocolError(f"expected {_NAMES[expected]}, found {value!r:.60}")
        return value

    def array(self, limit: int) -> int:
        """Enter an array; the number of its items, which come next. Refuses more than `limit`."""
        try:
            length: int = self._unpacker.read_array_header()
        except _MALFORMED as error:
            raise _malformed(error) from None
        return _within(length, limit)

    def map(self, limit: int) -> int:
        """Enter a map; the number of its pairs, which come next. Refuses more than `limit`."""
        try:
            length: int = self._unpacker.read_map_header()
        except _MALFORMED as error:
            raise _malformed(error) from None
        return _within(length, limit)

    def nil(self) -> bool:
        """Whether a nil comes next; if so it is read."""
        if self._next() != _NIL:
            return False
        self._unpacker.unpack()
        return True

    def skip(self) -> None:
        """Pass over one value of any type without building it."""
        try:
            self._unpacker.skip()
        except _MALFORMED as error:
            raise _malformed(error) from None

    def end(self) -> None:
        """Raise unless everything was read."""
        rest = len(self._payload) - self._unpacker.tell()
        if rest:
            raise ProtocolError(f"expected the end of the payload, found {rest} more bytes")

    def _next(self) -> bytes:
        at = self._unpacker.tell()
        return self._payload[at : at + 1]


_MALFORMED = (ValueError, msgpack.UnpackException)
"""All that an Unpacker raises for bytes that it cannot or may not read; invalid UTF-8 is a ValueError too."""

_NAMES = {int: "an integer within int64", str: "a text", bool: "a bool", memoryview: "a column"}


def _malformed(error: Exception) -> ProtocolError:
    return ProtocolError(f"expected msgpack within its limits, found {type(error).__name__}: {error}")


def _within(length: int, limit: int) -> int:
    if length > limit:
        raise ProtocolError(f"expected at most {limit} items, found {length}")
    return length


def _column(width: int, data: bytes) -> memoryview[int]:
    if width not in _WIDTHS:
        raise ProtocolError(f"expected a column of width 1, 2, 4 or 8, found an extension of type {width}")
    return numbers(data, _within(len(data) // width, MAX_ROWS))
