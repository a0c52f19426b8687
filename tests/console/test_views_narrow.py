"""What goes to the terminal when a little has changed."""

from __future__ import annotations

from rich.console import Console
from rich.segment import Segment
from textual.strip import Strip

from asynctop_console.views.narrow import _NarrowUpdate


def test_only_what_changed_is_written() -> None:
    chops: list[dict[int, Strip | None]] = [
        {0: Strip([Segment("abc"), Segment("defgh")]), 8: Strip([Segment("|")])},
        {0: None},
    ]
    update = _NarrowUpdate(chops, [(0, 2, 5), (0, 8, 9), (1, 0, 9)], [[8, 9], [9]])
    assert update.render_segments(Console()) == "\x1b[1;3Hcde\x1b[1;9H|"
