"""What a terminal shows that has nothing but ASCII."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.drivers.headless_driver import HeadlessDriver

from asynctop_console.clean import clean
from asynctop_console.views.app import ConsoleApp
from asynctop_console.views.glyphs import in_ascii, in_ascii_only, only_ascii
from asynctop_console.views.keymap import Keymap
from asynctop_console.views.keys import EVERYWHERE, keys_of
from asynctop_console.views.loop import STATES as LOOP_STATES
from asynctop_console.views.tasks import STATES

from .program import HOSTILE
from .screens import Frozen, console, three

KEPT = sorted(Path(__file__).with_name("looks").glob("*.txt"))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_whatever_is_on_a_screen_has_a_stand_in_of_its_width(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        shown = in_ascii(line)
        assert shown.isascii()
        assert shown.count("?") == line.count("?"), line
        assert len(shown) == cell_len(line), line


def test_states_can_be_told_apart() -> None:
    signs = {in_ascii(sign) for sign, _ in STATES.values()}
    assert len(signs) == len({sign for sign, _ in STATES.values()})
    assert all(in_ascii(sign) in signs for sign, _, _ in LOOP_STATES.values())


@pytest.mark.parametrize("text", ["café", "日本語", "e\u0301", "🦄", *HOSTILE], ids=range(10))
def test_foreign_text_keeps_its_width(text: str) -> None:
    shown = in_ascii(clean(text))
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) == cell_len(clean(text))


@pytest.mark.parametrize(
    ("environ", "encoding", "expected"),
    [
        ({}, "utf-8", False),
        ({"LANG": "en_US.UTF-8"}, "utf-8", False),
        ({"LANG": "en_US.utf8@euro"}, "utf-8", False),
        ({"LANG": "en_US"}, "utf-8", False),
        ({"LC_CTYPE": "UTF-8"}, "utf-8", False),
        ({"LANG": "C.UTF-8", "LC_CTYPE": "C.UTF-8"}, "utf-8", False),
        ({"LC_CTYPE": "C.UTF-8"}, "utf-8", False),
        ({"LC_ALL": "C.UTF-8", "LANG": "C"}, "utf-8", False),
        ({"LC_CTYPE": "de_DE.UTF-8", "LANG": "C"}, "utf-8", False),
        ({"LANG": "C"}, "utf-8", True),
        ({"LANG": "POSIX", "LC_CTYPE": "C.UTF-8"}, "utf-8", True),
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, "utf-8", True),
        ({"LANG": "de_DE.ISO-8859-1"}, "utf-8", True),
        ({"LANG": "en_US.UTF-8"}, "ascii", True),
        ({"LANG": "en_US.UTF-8"}, None, True),
        ({"LANG": "en_US.UTF-8", "TERM": "linux"}, "utf-8", True),
        ({"LANG": "en_US.UTF-8", "TERM": "xterm-256color"}, "UTF8", False),
    ],
)
def test_the_locale_says_what_the_terminal_shows(
    environ: dict[str, str], encoding: str | None, expected: bool
) -> None:
    assert only_ascii(environ, encoding) is expected


def test_the_terminal_gets_nothing_else() -> None:
    written: list[str] = []

    class Noting(HeadlessDriver):
        def write(self, data: str) -> None:
            written.append(data)

    async def run() -> None:
        app = ConsoleApp(Frozen(*three()), ascii_only=True)
        assert app.driver_class.__name__ == "InAscii"
        in_ascii_only(Noting)(app, size=(80, 24)).write("\x1b[1m✓ 12.3µs\x1b[0m")

    asyncio.run(run())
    assert written == ["\x1b[1mv 12.3us\x1b[0m"]


def test_arrows_are_keys_in_words_there() -> None:
    keymap = Keymap(arrows=False)
    for screen in EVERYWHERE:
        assert all(keymap.shown(key).isascii() for key in keys_of(screen))
    assert Keymap().named("poll-before") == "←"
    assert keymap.named("poll-before") == "Left"

    async def run() -> None:
        async with console(*three(), keymap=keymap) as screen:
            await screen.press("enter", "question_mark")
            at = screen.page.splitlines().index("  H L Shift-Left Shift-Right ")
            assert screen.page.splitlines()[at + 1].strip() == "half the time axis back, on"

    asyncio.run(run())
