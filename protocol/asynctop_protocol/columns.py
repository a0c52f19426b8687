"""Columns: n integers as n signed little-endian integers of 1, 2, 4 or 8 bytes.

Making one is on the monitored program's path, so every loop over items is one of the interpreter's own.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence

from .errors import ProtocolError

_FORMATS = {1: "b", 2: "h", 4: "i", 8: "q"}
_SWAP = sys.byteorder == "big"


def column(numbers: Sequence[int]) -> bytes:
    """These integers, all in the smallest width that holds every one of them; no integers are no bytes.

    Raises OverflowError for an integer outside int64, TypeError for anything that is not an integer.
    """
    # An array's own integers are read faster from a list than through its iterator.
    items = numbers.tolist() if isinstance(numbers, array | memoryview) else numbers
    packed = _pack(items)
    if _SWAP:
        packed.byteswap()
    return packed.tobytes()


def _pack(items: Sequence[int]) -> array[int]:
    # A width that is too small usually shows at the first item, so trying beats a look at the minimum and
    # maximum.
    for code in "bhi":
        try:
            return array(code, items)
        except OverflowError:
            pass
    return array("q", items)


def numbers(data: bytes, rows: int) -> memoryview[int]:
    """The integers of a column of so many rows, as a view of format "b", "h", "i" or "q".

    Nothing is copied, except on big-endian machines. Raises ProtocolError where no width fits.
    """
    if rows == 0 and not data:
        return memoryview(b"").cast("b")
    code = _FORMATS.get(len(data) // rows) if rows > 0 and len(data) % rows == 0 else None
    if code is None:
        raise ProtocolError(f"expected {rows} integers of 1, 2, 4 or 8 bytes, found {len(data)} bytes")
    if _SWAP:
        swapped = array(code, data)
        swapped.byteswap()
        return memoryview(swapped)
    return memoryview(data).cast(code)  # type: ignore[call-overload, no-any-return]
