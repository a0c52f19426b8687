"""Each screen looks as it did: `make looks` writes down what they look like now, for `git diff` to show."""

from __future__ import annotations

import asyncio
import difflib
import os
from pathlib import Path

import pytest

from .looks import DARK, LIGHT, cells, characters, roles
from .scenes import SCENES, SIZES, resized, staged
from .screens import Screen, settled

KEPT = Path(__file__).with_name("looks")
REWRITE = "ASYNCTOP_REWRITE_LOOKS"


async def themed(screen: Screen, theme: str) -> None:
    screen.app.theme = theme
    await settled(screen.pilot)


async def drawn(name: str) -> str:
    """A scene at all sizes."""
    text = ""
    async with staged(SCENES[name]) as screen:
        for size in SIZES:
            await resized(screen, size)
            await themed(screen, DARK)
            dark = cells(screen)
            await themed(screen, LIGHT)
            light = cells(screen)
            assert characters(dark) == characters(light), "themes differ in nothing but colours"
            assert {len(line) for line in dark} <= {size[0]}, "no line is longer than the screen"
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
    changes = difflib.unified_diff(before.splitlines(), now.splitlines(), "as it was", "as it is", lineterm="", n=1)
    assert now == before, "\n".join([f"{name} looks different; `make looks` accepts that:", *changes])


def test_nothing_is_kept_of_scenes_that_are_gone() -> None:
    assert {path.stem for path in KEPT.iterdir()} == set(SCENES)
