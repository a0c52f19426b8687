"""Tables as columns: numpy arrays of one length, grown by doubling.

A subclass declares its columns as class attributes; on an instance each is the array of the rows in use:

    class Points(Columns):
        x = Column(np.int64)
        y = Column(np.int64)

    points.x[3:5] = 7

Such an array is a window on the table's memory: keep it for one look, not from tick to tick.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from asynctop_console.model.limits import LARGEST
from asynctop_protocol.messages import Column as WireColumn

Cell = TypeVar("Cell", bound=np.generic)
Ints = npt.NDArray[np.int64]
Whole = npt.NDArray[np.integer[Any]]
Rows = npt.NDArray[np.intp]

_SMALLEST_CAPACITY = 64


class Column(Generic[Cell]):
    """A column's declaration: type of its cells, how many numbers are in one, what an unset one holds."""

    def __init__(self, dtype: type[Cell], width: int | None = None, empty: Any = 0) -> None:
        self.dtype = dtype
        self.shape = () if width is None else (width,)
        self.empty = empty
        self.name = ""

    def __set_name__(self, owner: type[Columns], name: str) -> None:
        self.name = name
        owner.columns = {**owner.columns, name: self}

    def __get__(self, table: Columns, owner: type[Columns]) -> npt.NDArray[Cell]:
        return table.store[self.name][: table.rows]


class Columns:
    """A table of declared columns."""

    columns: ClassVar[dict[str, Column[Any]]] = {}

    def __init__(self) -> None:
        self.rows = 0
        self.store: dict[str, npt.NDArray[Any]] = {
            name: np.full((_SMALLEST_CAPACITY, *column.shape), column.empty, column.dtype)
            for name, column in self.columns.items()
        }

    def __getstate__(self) -> dict[str, Any]:
        """Only the rows in use are pickled."""
        return {**self.__dict__, "store": {name: cells[: self.rows] for name, cells in self.store.items()}}

    def extend(self, count: int) -> None:
        """Add `count` rows of empty cells at the end."""
        start, end = self.rows, self.rows + count
        for name, column in self.columns.items():
            cells = self.store[name]
            if end > len(cells):
                larger = np.empty((max(end, 2 * len(cells)), *column.shape), column.dtype)
                larger[:start] = cells[:start]
                self.store[name] = cells = larger
            cells[start:end] = column.empty
        self.rows = end

    def put(self, rows: Rows, **cells: Whole) -> None:
        """Set the cells of these rows, column by column."""
        for name, numbers in cells.items():
            column = self.store[name]
            # numpy takes twice as long where it converts cell by cell on the way.
            column[rows] = numbers.astype(column.dtype, copy=False)

    def remove(self, rows: Rows) -> None:
        """Remove these rows, keeping the order of the others. Rows before the first of them stay put."""
        if not len(rows):
            return
        first, end = int(rows.min()), self.rows
        kept = np.ones(end - first, np.bool_)
        kept[rows - first] = False
        self.rows = first + int(np.count_nonzero(kept))
        for name, column in self.columns.items():
            cells = self.store[name]
            cells[first : self.rows] = cells[first:end][kept]
            # Let go of the objects in the cells no longer used.
            cells[self.rows : end] = column.empty

    def reorder(self, order: Rows) -> None:
        """Put the rows into this order."""
        for cells in self.store.values():
            cells[: self.rows] = cells[: self.rows][order]


def whole(column: WireColumn, largest: int = LARGEST) -> Ints:
    """A column of the wire as an array of its own, clipped to 0..largest."""
    numbers = _numbers(column)
    # Hardly ever is there anything to clip, and to look takes a fifth of the time.
    if len(numbers) and (numbers.min() < 0 or numbers.max() > largest):
        numbers = np.clip(numbers.astype(np.int64), 0, largest)
    return numbers.astype(np.int64)


def choice(column: WireColumn, last: int, otherwise: int) -> Whole:
    """A column of an enumeration: numbers outside 1..last, as of a newer runtime, become `otherwise`."""
    numbers = _numbers(column)
    return np.where((numbers < 1) | (numbers > plain(last)), plain(otherwise), numbers)


def plain(number: int) -> int:
    """A member of an enumeration as a mere number, beside which numpy need not convert a column's cells: that
    takes thirteen times as long."""
    return int(number)


def _numbers(column: WireColumn) -> Whole:
    """As narrow as they came."""
    return np.asarray(column, None if isinstance(column, memoryview) else np.int64)


def clipped(number: int, largest: int = LARGEST) -> int:
    """A single number of the wire, clipped to 0..largest."""
    return min(max(number, 0), largest)
