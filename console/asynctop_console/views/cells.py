"""Text in cells of a terminal: cutting and padding to an exact width, whatever the characters' widths are."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len, set_cell_size

ELLIPSIS = "…"


@lru_cache(maxsize=8192)
def fit(text: str, width: int, align: str = "left", cut: str = "right") -> str:
    """`text` in exactly `width` cells: padded on the side away from `align`, or cut on the side `cut` with an ellipsis."""
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
