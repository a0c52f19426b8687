"""What a table is told: its columns, how they share the screen's width, and where its rows come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from asynctop_console.views.frame import Frame
from asynctop_console.views.order import Ids

R = TypeVar("R")
"""What a table's cells are drawn from: a record of one row."""


class Cell(NamedTuple):
    """What stands in one cell: its text, already harmless, the role (see `theme`) that gives its looks, and
    on which side it is cut where that is not the column's.
    """

    text: str
    role: str = "text"
    cut: str = ""


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """One column: `cell(record)` draws it, `sort(frame)` gives every row's key where one can sort by it.

    `width` is what it needs at least; `grow` its share of what is left over, up to `most` cells. Columns
    whose
    `leaves` is higher leave first when the screen is too narrow; those with 0 stay.
    """

    id: str
    title: str
    width: int
    cell: Callable[[R], Cell]
    sort: Callable[[Frame], NDArray[np.int64]] | None = None
    align: Literal["left", "right"] = "left"
    cut: Literal["left", "right"] = "right"
    descending: bool = False
    """Which way it sorts at first."""
    grow: int = 0
    most: int = 0
    leaves: int = 0
    hidden: bool = False
    """Whether it is shown only to who has chosen it."""


class Rows(Protocol[R]):
    """What a table asks about its rows."""

    def ids(self, frame: Frame) -> Ids:
        """Ids of all rows, ascending."""
        ...

    def wanted(self, frame: Frame) -> NDArray[np.bool_] | None:
        """Which rows pass the filters; None for all."""
        ...

    def bands(self, frame: Frame) -> NDArray[np.int8] | None:
        """In the default order lower bands stand above higher ones, each in the column's order; None for
        one band."""
        ...

    def urgent(self, frame: Frame) -> Ids:
        """Ids of rows that cannot wait: where one comes or goes, the order is taken at once."""
        ...

    def arrange(self, frame: Frame, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """The keys by which the rows stand in the end, given those of the column and the bands."""
        ...

    def look(self, frame: Frame, rows: NDArray[np.intp]) -> list[R]:
        """The records of these rows."""
        ...

    def ground(self, record: R) -> str:
        """The ground (see `theme`) on which a row is drawn."""
        ...


def layout(columns: tuple[Column[R], ...], width: int) -> list[tuple[Column[R], int]]:
    """The columns that fit into `width` cells (one blank between each two), with their widths."""
    kept = list(columns)
    for leaving in sorted((c for c in columns if c.leaves), key=lambda c: -c.leaves):
        if sum(c.width + 1 for c in kept) - 1 <= width:
            break
        kept.remove(leaving)
    widths = {c.id: c.width for c in kept}
    spare = width - sum(widths.values()) - len(kept) + 1
    while spare > 0:
        hungry = [c for c in kept if c.grow and (not c.most or widths[c.id] < c.most)]
        if not hungry:
            break
        share = max(1, spare // sum(c.grow for c in hungry))
        for column in hungry:
            more = min(share * column.grow, spare)
            if column.most:
                more = min(more, column.most - widths[column.id])
            widths[column.id] += more
            spare -= more
    return [(c, widths[c.id]) for c in kept]
