"""A screen as text: its characters, and below them in which role each of them is drawn.

Roles are the themes' (`theme.py`), so that one text says what a screen looks like in the dark theme and in
the light one. What Textual draws by itself is called by its colours in both.
"""

from __future__ import annotations

from functools import cache
from itertools import groupby
from typing import NamedTuple

from rich.style import Style

from asynctop_console.views.theme import PALETTES, THEMES

from .screens import Screen

DARK, LIGHT, PLAIN = PALETTES

_PARTS = {theme.name: theme.variables for theme in THEMES}

_ATTRIBUTES = ("bold", "dim", "underline", "reverse")

Looks = tuple[str, str, bool, bool, bool, bool]
"""Colour, ground, and the attributes."""


class Cell(NamedTuple):
    """A character and how it is drawn."""

    text: str
    looks: Looks


def cells(screen: Screen) -> list[list[Cell]]:
    """What is on the screen, line by line."""
    app = screen.app
    update = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)
    return [
        [
            Cell(character, looks)
            for strip in line
            for text, style, _ in strip
            for looks in [_looks(style or Style.null())]
            for character in text
        ]
        for line in update.strips  # type: ignore[union-attr]
    ]


def characters(lines: list[list[Cell]]) -> list[str]:
    """The screen without its colours."""
    return ["".join(cell.text for cell in line).rstrip() for line in lines]


def roles(dark: list[list[Cell]], light: list[list[Cell]]) -> list[str]:
    """Which lines have which roles, from left to right, each with the number of its characters."""
    told = [_roles(line, other) for line, other in zip(dark, light, strict=True)]
    lines = []
    for said, same in groupby(enumerate(told, 1), lambda each: each[1]):
        numbers = [number for number, _ in same]
        which = f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
        lines.append(f"{which:>5}  {said}")
    return lines


def _roles(line: list[Cell], other: list[Cell]) -> str:
    named: list[str] = []
    grounds: tuple[str, str] | None = None
    for cell, twin in zip(line, other, strict=True):
        below = cell.looks[1], twin.looks[1]
        # Of a blank one only sees the ground.
        blank = cell.text == " " and below == grounds and not any(cell.looks[4:])
        named.append(named[-1] if blank else _name(cell.looks, twin.looks))
        grounds = below
    return ", ".join(f"{name} {len(list(same))}" for name, same in groupby(named))


@cache
def _name(dark: Looks, light: Looks) -> str:
    """The first role that looks like this in the dark theme and like that in the light one."""
    for role in PALETTES[DARK].roles:
        for ground in PALETTES[DARK].grounds:
            if (dark, light) == tuple(_looks(PALETTES[theme][role, ground]) for theme in (DARK, LIGHT)):
                return role if ground == "ground" else f"{role}/{ground}"
    told = _told(DARK, dark), _told(LIGHT, light)
    return told[0] if told[0] == told[1] else " or ".join(told)


def _told(theme: str, looks: Looks) -> str:
    """Of what Textual draws by itself: what it is a part of, else its colours."""
    colour, ground, *attributes = looks
    for part, its_colour in _PARTS[theme].items():
        if its_colour in (colour, ground):
            return part
    words = [word for word, is_so in zip(_ATTRIBUTES, attributes, strict=True) if is_so]
    return " ".join([*words, colour, "on", ground])


@cache
def _looks(style: Style) -> Looks:
    colours = [colour.name if colour else "default" for colour in (style.color, style.bgcolor)]
    bold, dim, underline, reverse = (bool(getattr(style, name)) for name in _ATTRIBUTES)
    return colours[0], colours[1], bold, dim, underline, reverse
