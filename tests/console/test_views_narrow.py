"""What goes to the terminal when a little has changed."""

from __future__ import annotations

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from asynctop_console.views.narrow import _NarrowUpdate


def test_only_what_changed_is_written() -> None:
    chops: list[dict[int, Strip | None]] = [
        {0: Strip([Segment("abc"), Segment("defgh")]), 8: Strip([Segment("|")])},
        {0: None},
    ]
    update = _NarrowUpdate(chops, [(0, 2, 5), (0, 8, 9), (1, 0, 9)], [[8, 9], [9]])
    assert update.render_segments(Console()) == "\x1b[1;3Hcde\x1b[1;9H|"


def test_a_style_is_put_on_once_for_all_that_follows_in_it() -> None:
    red, blue = Style.parse("red"), Style.parse("blue")
    chops: list[dict[int, Strip | None]] = [
        {0: Strip([Segment("a", red), Segment("b", blue)])},
        {0: Strip([Segment("c", blue), Segment("d")])},
    ]
    update = _NarrowUpdate(chops, [(0, 0, 2), (1, 0, 2)], [[2], [2]])
    assert (
        update.render_segments(Console(color_system="standard"))
        == "\x1b[31m\x1b[1;1Ha\x1b[0m\x1b[34mb\x1b[2;1Hc\x1b[0md"
    )
