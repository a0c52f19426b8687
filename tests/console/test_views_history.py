"""A task's polls on its page: watched while it is open, and told one by one."""

from __future__ import annotations

import asyncio

import pytest

from asynctop_protocol.messages import Histograms, Tick, WakerSource, Watch

from .program import MS, SECOND, history
from .screens import NOW, Screen, console, three


def watching(screen: Screen) -> list[list[int]]:
    return [list(message.tasks) for message in screen.source.sent if isinstance(message, Watch)]


def test_a_task_is_watched_while_its_page_is_open() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            assert watching(screen) == []
            await screen.press("j", "enter")
            assert watching(screen) == [[2]]
            await screen.press("question_mark", "escape")
            assert watching(screen) == [[2]], "help lies on top of the page, which is still open"
            await screen.press("j", "enter")
            assert screen.page.startswith(" main  task 1")
            assert watching(screen)[-1] == [1, 2]
            await screen.say(history(2, [(NOW - MS, NOW - MS, NOW)]))
            await screen.press("escape")
            assert watching(screen)[-1] == [2]
            assert screen.app.model.watched.get(2) is not None
            await screen.press("escape")
            assert watching(screen)[-1] == []
            assert screen.app.model.watched.get(2) is None

    asyncio.run(run())


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_polls_their_times_and_wakers_are_shown(size: tuple[int, int]) -> None:
    async def run() -> None:
        async with console(*three(), size=size) as screen:
            await screen.press("j", "enter")
            assert "none since this page was opened" in screen.page
            polls = [(at, at + 3 * MS, at + 5 * MS) for at in range(NOW - 4 * SECOND, NOW, SECOND // 2)]
            slow = (NOW - 2 * MS, NOW - 2 * MS, NOW + 300 * MS)
            await screen.say(
                history(2, polls),
                history(2, [slow], WakerSource.TASK, 3, 0),
                Histograms([2], [4 * MS], [[0] * 42 + [400, 1]], [[0] * 43 + [401]]),
                Tick(NOW + SECOND),
            )
            lines = screen.page.splitlines()
            first = next(index for index, line in enumerate(lines) if "woken by" in line)
            assert lines[first - 1].split() == ["1.00s", "ago", "now"]
            ran = lines[first - 2]
            assert ran.startswith("  ran")
            assert max("▁▂▃▄▅▆▇█".index(glyph) for glyph in ran if glyph in "▁▂▃▄▅▆▇█") == 7
            assert lines[first + 1].split()[:3] == ["700ms", "0ns", "302ms"]
            assert "▇" in lines[first + 1]
            assert lines[first + 1].endswith(" task worker")
            assert "timer on_timer" in lines[first + 2]
            assert "Times of its last 401 polls" in screen.page
            assert "of the last 9 wakes" in screen.page
            assert "p50      p90      p99      max" in screen.page
            assert "  ran         1.76ms   1.76ms   1.76ms   9.00ms" in screen.page
            assert "  waited      2.49ms   2.49ms   2.49ms   4.00ms" in screen.page
            assert "  89%         timer on_timer" in screen.page
            assert "→ 11%         task worker" in screen.page
            assert all(len(line) <= size[0] for line in lines if "/" not in line)

    asyncio.run(run())


def test_numbers_that_cannot_be_are_shown_all_the_same() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("j", "enter")
            most = 2**63 - 1
            counts = [most] * 127
            await screen.say(
                history(2, [(most, 0, -most), (-most, most, most), (0, 0, 0)]),
                Histograms([2], [-1], [counts], [counts]),
                Tick(most),
            )
            assert "Times of its last" in screen.page

    asyncio.run(run())


def test_the_axis_grows_with_what_is_known() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("j", "enter")
            for seconds, span in ((0, "100ms ago"), (2, "1.00s ago"), (12, "10.0s ago"), (70, "1m00s ago")):
                first = history(2, [(NOW, NOW, NOW + MS)]) if not seconds else Tick(NOW)
                await screen.say(first, Tick(NOW + seconds * SECOND))
                assert span in screen.page

    asyncio.run(run())


def test_a_new_program_is_asked_to_watch_too() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("j", "enter")
            screen.app._successor = lambda: screen.source
            screen.source.sent.clear()
            screen.source.end()
            async with asyncio.timeout(20):
                while not watching(screen):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert watching(screen) == [[2]]

    asyncio.run(run())
