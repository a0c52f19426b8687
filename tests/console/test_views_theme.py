"""What is on the screen can be read: contrasts as WCAG 2.2 defines and asks for them (1.4.3 and 1.4.11)."""

from __future__ import annotations

import pytest
from rich.color_triplet import ColorTriplet

from asynctop_console.views.theme import PALETTES, PLAIN

THEMES = sorted(set(PALETTES) - {PLAIN})


def luminance(colour: ColorTriplet) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: ColorTriplet, other: ColorTriplet) -> float:
    lower, higher = sorted((luminance(one), luminance(other)))
    return (higher + 0.05) / (lower + 0.05)


def test_black_on_white() -> None:
    assert contrast(ColorTriplet(0, 0, 0), ColorTriplet(255, 255, 255)) == pytest.approx(21)


@pytest.mark.parametrize("theme", THEMES)
def test_texts_and_bars_stand_out(theme: str) -> None:
    palette = PALETTES[theme]
    for role in palette.roles:
        is_bar = role.startswith("bar.")
        least = 3.0 if is_bar or role == "faint" else 4.5
        for ground in ["ground"] if is_bar else palette.grounds:
            style = palette[role, ground]
            assert style.color is not None
            assert style.bgcolor is not None
            found = contrast(style.color.get_truecolor(), style.bgcolor.get_truecolor())
            assert found >= least, f"{role} on {ground}: {found:.2f}, {least} at least"
