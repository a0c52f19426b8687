"""Text in cells of a terminal: cutting and padding to an exact width, whatever the characters' widths are."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from asynctop_console.model.times import duration

ELLIPSIS = "…"


@lru_cache(maxsize=8192)
def fit(text: str, width: int, align: str = "left", cut: str = "right") -> str:
    """`text` in exactly `width` cells: padded on the side away from `align`, or cut on the side `cut` with
    an ellipsis."""
    if text.isascii():
        short = width - len(text)
    else:
        # Nobody sees beyond a screen's width, and measuring a foreign text of megabytes would take seconds.
        text = text[-4 * width :] if cut == "left" else text[: 4 * width]
        short = width - cell_len(text)
    if short < 0:
        return _cut(text, width, cut)
    pad = " " * short
    return pad + text if align == "right" else text + pad


def _cut(text: str, width: int, cut: str) -> str:
    if width <= 0:
        return ""
    if cut != "left":
        return set_cell_size(text[: 4 * width], width - 1) + ELLIPSIS
    tail = text[-width:]
    while cell_len(tail) > width - 1:
        tail = tail[1:]
    return ELLIPSIS + " " * (width - 1 - cell_len(tail)) + tail


def age_text(ns: int) -> str:
    """A duration that runs on: whole seconds from ten on, so that a list of them does not flicker."""
    return f"{ns // 10**9}s" if 10**10 <= ns < 6 * 10**10 else duration(ns)


def count(number: int) -> str:
    """A count in at most 6 cells: 99999, 1234k, 56.7M."""
    if number < 100_000:
        return str(number)
    if number < 10_000_000:
        return f"{number // 1000}k"
    return f"{number / 1e6:.1f}M" if number < 10**9 else f"{number / 1e9:.1f}G"


def ago(ns: int) -> str:
    """How long ago something was, in whole seconds: nobody reads more of it."""
    seconds = ns // 10**9
    if not seconds:
        return "just now"
    return f"{seconds}s ago" if seconds < 60 else f"{duration(ns)} ago"


def differences(
    sizes: Iterable[int], now: Iterable[object], before: Iterable[object]
) -> list[tuple[int, int]]:
    """Where a line of pieces as many cells wide as this differs from what it was: from which cell to which,
    neighbouring pieces together."""
    found: list[tuple[int, int]] = []
    end = 0
    for size, piece, was in zip(sizes, now, before, strict=True):
        begin, end = end, end + size
        if piece != was:
            found.append((found.pop()[0] if found and found[-1][1] == begin else begin, end))
    return found


def strip_of(pieces: list[tuple[str, Style]], width: int, rest: Style) -> Strip:
    """A strip of exactly `width` cells: the pieces, neighbours of one style joined, cut or filled up with
    `rest`."""
    segments: list[Segment] = []
    for text, style in pieces:
        if segments and segments[-1].style == style:
            segments[-1] = Segment(segments[-1].text + text, style)
        else:
            segments.append(Segment(text, style))
    return Strip(segments).adjust_cell_length(width, rest)
