"""What goes to the terminal when a little has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from asynctop_console.views.app import ConsoleApp
from asynctop_console.views.narrow import NarrowUpdate, Part
from asynctop_protocol.messages import Message, Tick

from .program import MS, SECOND, hello, kinds, named, polled, spawned, texts
from .screens import NOW, blocking, console, three


def test_a_style_is_put_on_once_for_all_that_follows_in_it() -> None:
    red, blue = Style.parse("red"), Style.parse("blue")
    update = NarrowUpdate(
        [
            Part(0, 0, Strip([Segment("a", red), Segment("b", blue)])),
            Part(0, 1, Strip([Segment("c", blue), Segment("d")])),
        ]
    )
    assert (
        update.render_segments(Console(color_system="standard"))
        == "\x1b[31m\x1b[1;1Ha\x1b[0m\x1b[34mb\x1b[2;1Hc\x1b[0md"
    )


def test_what_follows_a_text_of_a_doubtful_width_stands_where_it_should() -> None:
    update = NarrowUpdate([Part(2, 0, Strip([Segment("हिन्दी"), Segment("plain"), Segment("…")]))])
    width = cell_len("हिन्दी")
    assert update.render_segments(Console()) == f"\x1b[1;3H\x1b[{width}Xहिन्दी\x1b[1;{3 + width}Hplain…"


class Glass:
    """The terminal's screen: what stands in each cell of it by what was displayed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, app: ConsoleApp) -> None:
        self._app = app
        self.parts: list[Part] = []
        """What was drawn in parts so far."""
        monkeypatch.setattr(app, "_display", self._display)
        self.cells = self.wanted

    @property
    def wanted(self) -> list[list[tuple[str, Style | None]]]:
        """What stands in each cell if everything is drawn."""
        return [_cells(strip) for strip in self._app.screen._compositor.render_strips()]

    def _display(self, screen: object, update: object) -> None:
        if isinstance(update, NarrowUpdate):
            self.parts += update.parts
            for x, y, strip in update.parts:
                cells = _cells(strip)
                self.cells[y][x : x + len(cells)] = cells
        elif update is not None:
            self.cells = self.wanted


def _cells(strip: Strip) -> list[tuple[str, Style | None]]:
    return [
        (part, style)
        for text, style, _ in strip
        for character in text
        for part in (character, "")[: cell_len(character)]
    ]


@pytest.mark.parametrize(("size", "no_color"), [((80, 24), ""), ((160, 48), None), ((100, 30), "1")])
def test_what_is_drawn_in_parts_looks_as_if_it_were_drawn_whole(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], no_color: str | None
) -> None:
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    many = list(range(4, 104))

    async def run() -> None:
        async with console(*three(), size=size) as screen:
            glass = Glass(monkeypatch, screen.app)

            async def act(*messages: Message, after_ns: int = SECOND // 4, keys: Iterable[str] = ()) -> None:
                await screen.say(*messages, after_ns=after_ns)
                await screen.press(*keys)
                while screen.app.screen._dirty_widgets:  # noqa: ASYNC110  (nobody tells when it is drawn)
                    await asyncio.sleep(0)
                assert glass.cells == glass.wanted

            now = NOW + SECOND
            await act(polled([1, 2], polls=[6, 301], busy=[91 * MS, 21 * MS]), Tick(now))
            await act(keys=("home",))
            await act(polled([1], polls=[7], busy=[92 * MS]), Tick(now))
            await act(keys="jjm")
            dark = glass.cells[-1][4]
            await screen.pilot.hover("#footer", offset=(4, 0))
            await act()
            assert glass.cells[-1][4] != dark, "a key in the footer lights up under the mouse"
            await act(spawned(many), named([9], ["読み取り"]), polled(many, polls=many), Tick(now + 1))
            for after in range(8):
                await act(polled(many[::7], busy=[after * MS] * 15), Tick(now + after), keys="jjjj")
            await act(*blocking(now + SECOND, task=50))
            await act(after_ns=3 * SECOND, keys="P")
            screen.app.notify("in front of them")
            await act(polled(many, polls=[n * n for n in many]), Tick(now + 2 * SECOND), keys="G")
            await act(polled(many, busy=[n * MS for n in many]), Tick(now + 3 * SECOND), keys="?")
            await act(Tick(now + 4 * SECOND), keys=("escape",))
            for key in "1234567":
                await act(Tick(now + 5 * SECOND + int(key) * SECOND), keys=key)
                await act(polled([2], busy=[SECOND]), Tick(now + 14 * SECOND + int(key) * SECOND))
            assert len(glass.parts) > 100

    asyncio.run(run())


def test_of_many_rows_only_the_cells_are_drawn_that_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = list(range(1, 50_001))

    async def run() -> None:
        start = (hello(), texts(), kinds(), spawned(ids), polled(ids, busy=ids), Tick(NOW))
        async with console(*start) as screen:
            assert screen.ids[:3] == [50_000, 49_999, 49_998]
            glass = Glass(monkeypatch, screen.app)
            await screen.say(polled([50_000], polls=5, busy=60_000), Tick(NOW + 1))
            in_table = [part for part in glass.parts if part.y in range(3, 28)]
            assert [(part.y, part.strip.text.split()) for part in in_table] == [(3, ["5", "60.0µs"])]

    asyncio.run(run())
