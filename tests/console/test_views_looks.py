"""Each screen looks as it did: `make looks` writes down what they look like now, for `git diff` to show."""

from __future__ import annotations

import asyncio
import difflib
import os
from pathlib import Path

import pytest

from .looks import DARK, LIGHT, PLAIN, cells, characters, roles
from .scenes import SCENES, SIZES, resized, staged
from .screens import settled

KEPT = Path(__file__).with_name("looks")
REWRITE = "ASYNCTOP_REWRITE_LOOKS"


async def drawn(name: str) -> str:
    """A scene at all sizes, in both themes."""
    text = ""
    async with staged(SCENES[name]) as screen:
        for size in SIZES:
            await resized(screen, size)
            seen = {screen.app.theme: cells(screen)}
            # Back at the next size: a change of theme takes longer than all else.
            screen.app.theme = LIGHT if screen.app.theme == DARK else DARK
            await settled(screen.pilot)
            seen[screen.app.theme] = cells(screen)
            dark, light = seen[DARK], seen[LIGHT]
            assert characters(dark) == characters(light), "themes differ in nothing but colours"
            assert {len(line) for line in dark} <= {size[0]}, "lines are as long as the screen is wide"
            lines = [f"== {size[0]}x{size[1]}", *characters(dark), "-- in which roles", *roles(dark, light)]
            text += "\n".join(lines) + "\n"
    return text


@pytest.mark.parametrize("name", SCENES)
def test_each_screen_looks_as_it_did(name: str) -> None:
    path = KEPT / f"{name}.txt"
    now = asyncio.run(drawn(name))
    if os.environ.get(REWRITE):
        path.write_text(now, encoding="utf-8")
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    changes = difflib.unified_diff(
        before.splitlines(), now.splitlines(), "as it was", "as it is", lineterm="", n=1
    )
    assert now == before, "\n".join([f"{name} looks different; `make looks` accepts that:", *changes])


def test_nothing_is_kept_of_scenes_that_are_gone() -> None:
    assert {path.stem for path in KEPT.iterdir()} == set(SCENES)


@pytest.mark.parametrize("name", ["tasks-blocked", "await-tree", "warnings", "loops", "task", "help"])
def test_without_colours_a_screen_says_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def run() -> None:
        async with staged(SCENES[name]) as screen:
            assert screen.app.theme == PLAIN
            await resized(screen, SIZES[0])
            plain = cells(screen)
        kept = (KEPT / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        assert characters(plain) == kept[1 : 1 + SIZES[0][1]]
        colours = {colour for line in plain for cell in line for colour in cell.looks[:2]}
        assert not [colour for colour in colours if colour.startswith("#")], "the terminal's own colours only"

    asyncio.run(run())
