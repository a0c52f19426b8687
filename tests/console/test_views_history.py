"""A task's polls on its page: watched while it is open, and told one by one."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from asynctop_protocol.messages import Histograms, Stalls, Tick, WakerSource, Watch

from .program import MS, SECOND, history, stall
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


def polls_of_a_second() -> list[tuple[int, int, int]]:
    """Ten polls, one each 100 ms, that waited 2 ms and ran 1 ms; the last one ended now."""
    return [(NOW - at - 3 * MS, NOW - at - MS, NOW - at) for at in range(900 * MS, -1, -100 * MS)]


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_the_cursor_on_the_axis_tells_what_happened(size: tuple[int, int]) -> None:
    async def run() -> None:
        async with console(*three(), size=size) as screen:
            await screen.press("j", "enter")
            await screen.say(
                history(2, polls_of_a_second(), yielded=(2, 41)),
                history(2, [(NOW + 10 * MS, NOW + 20 * MS, NOW + 320 * MS)], WakerSource.TASK, 3, 0),
                Stalls([replace(stall(7, task=2), started_ns=NOW + 20 * MS)]),
                Tick(NOW + SECOND),
            )
            assert "this poll" not in screen.page
            await screen.press("left")
            lines = screen.page.splitlines()
            told = next(index for index, line in enumerate(lines) if "this poll" in line)
            assert lines[told] == "  this poll   waited 10.0ms, ran 300ms, ended 680ms ago"
            assert lines[told + 1] == "→ woken by    task worker"
            assert "blocked at  app/web.py:44 in load  blocking call" in lines[told + 2]
            assert not lines[told + 3].strip(), "it has not said where it yielded"
            assert next(line for line in lines if line.startswith("►")).startswith("► 680ms ")
            ran, mark = lines[told - 3], lines[told - 2]
            assert mark.strip() == "▲"
            assert ran[mark.index("▲")] == "█"
            assert ran[mark.index("▲") + 1] == " ", "it ended there"
            await screen.press("h")
            assert "waited 2.00ms, ran 1.00ms, ended 1.00s ago, then idle for 10.0ms" in screen.page
            assert "woken by    timer on_timer" in screen.page
            assert "blocked at" not in screen.page
            assert "yielded at  app/web.py:41" in screen.page
            await screen.press("l", "l")
            assert "this poll" not in screen.page, "beyond the newest it goes on with the time"

    asyncio.run(run())


def axis(screen: Screen) -> list[str]:
    """The bars of the polls, the cursor below them, and the times."""
    lines = screen.page.splitlines()
    mark = next(index for index, line in enumerate(lines) if "▲" in line)
    return lines[mark - 1 : mark + 2]


def test_the_cursor_stays_on_its_poll_while_the_program_goes_on() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("j", "enter")
            await screen.say(history(2, polls_of_a_second()), Tick(NOW + SECOND))
            await screen.press("left", "left")
            before = axis(screen)
            more = [(at, at, at + MS) for at in range(NOW + SECOND, NOW + 2 * SECOND, 50 * MS)]
            await screen.say(history(2, more), Tick(NOW + 2 * SECOND))
            assert "ended 2.10s ago" in screen.page
            assert axis(screen)[:2] == before[:2]
            await screen.press("H")
            assert "ended 2.60s ago" in screen.page, "half of the second that is shown"
            await screen.press("L", "L", "L", "L", "L", "L")
            assert "this poll" not in screen.page

    asyncio.run(run())


def test_the_axis_is_zoomed_around_the_cursor() -> None:
    async def run() -> None:
        async with console(*three(), size=(160, 48)) as screen:
            await screen.press("j", "enter")
            await screen.say(history(2, polls_of_a_second()), Tick(NOW + SECOND))
            await screen.press("minus")
            assert "10.0s ago" in screen.page
            for _ in range(4):
                await screen.press("minus")
            assert "10m00s ago" in screen.page
            for _ in range(9):
                await screen.press("plus")
            assert "10.0ms ago" in screen.page
            await screen.press("left", "left")
            ran, mark, ends = axis(screen)
            assert ends.split() == ["10.0ms", "before", "1.09s", "ago"]
            assert ran.count("▄") == 10, "a millisecond of ten"
            assert ran.rindex("▄") == mark.index("▲")
            assert len(mark) - 14 == pytest.approx(50, abs=2)

    asyncio.run(run())


def test_the_cursor_has_nowhere_to_go_without_polls() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("j", "enter", "left", "right", "H", "L", "plus", "minus")
            assert "none since this page was opened" in screen.page

    asyncio.run(run())
