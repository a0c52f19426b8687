"""Colours: what each role looks like in each theme, and nothing else.

Screens name roles ("muted", "blocking"), never colours. Every role that carries a meaning also comes with
a glyph
or a word on the screen, so the plain theme, which NO_COLOR selects, loses nothing but looks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.style import Style
from textual.theme import BUILTIN_THEMES, Theme

_DARK = {
    "text": "#d5dbe6",
    "strong": "bold #f2f5fa",
    "muted": "#96a0b4",
    "faint": "#78839a",
    "accent": "#6cb6ff",
    "title": "bold #6cb6ff",
    "good": "#7fd18c",
    "warn": "#f0b95b",
    "bad": "bold #ff7a85",
    "polling": "bold #7fd18c",
    "scheduled": "#f0b95b",
    "idle": "#96a0b4",
    "name": "#e6ebf3",
    "kind": "#b9a5ff",
    "place": "#79c9c1",
    "match": "underline #f0b95b",
    "bar.busy": "#7fd18c",
    "bar.scheduled": "#f0b95b",
    "bar.idle": "#5a667d",
    "bar.behind": "#40707b",
}
_LIGHT = {
    "text": "#24292f",
    "strong": "bold #0b0f14",
    "muted": "#59626e",
    "faint": "#6e7781",
    "accent": "#0757b3",
    "title": "bold #0757b3",
    "good": "#136a2c",
    "warn": "#855700",
    "bad": "bold #bf1725",
    "polling": "bold #136a2c",
    "scheduled": "#855700",
    "idle": "#59626e",
    "name": "#1b2026",
    "kind": "#6b3fc0",
    "place": "#0a6a63",
    "match": "underline #855700",
    "bar.busy": "#1f8f43",
    "bar.scheduled": "#bd840f",
    "bar.idle": "#8791a0",
    "bar.behind": "#5e9a94",
}
_PLAIN = {
    "text": "default",
    "strong": "bold",
    "muted": "dim",
    "faint": "dim",
    "accent": "cyan",
    "title": "bold cyan",
    "good": "green",
    "warn": "yellow",
    "bad": "bold red",
    "polling": "bold green",
    "scheduled": "yellow",
    "idle": "dim",
    "name": "default",
    "kind": "magenta",
    "place": "cyan",
    "match": "underline yellow",
    "bar.busy": "green",
    "bar.scheduled": "yellow",
    "bar.idle": "dim",
    "bar.behind": "dim cyan",
}

_DARK_GROUNDS = {
    "ground": "on #10141b",
    "header": "on #1b222d",
    "status": "on #1b222d",
    "footer": "on #1b222d",
    "key": "bold #10141b on #6cb6ff",
    "cursor": "on #24344c",
    "resting": "on #1a2330",
    "blocking": "bold #ffffff on #8e1f2f",
    "blocking.cursor": "bold #ffffff on #bb3046",
    "alert": "bold #ffffff on #a3273a",
    "notice": "bold #10141b on #f0b95b",
}
_LIGHT_GROUNDS = {
    "ground": "on #fcfcfa",
    "header": "on #e9ecf1",
    "status": "on #e9ecf1",
    "footer": "on #e9ecf1",
    "key": "bold #ffffff on #0757b3",
    "cursor": "on #d3e4f8",
    "resting": "on #edf3fb",
    "blocking": "bold #ffffff on #b3202f",
    "blocking.cursor": "bold #ffffff on #8c1020",
    "alert": "bold #ffffff on #b3202f",
    "notice": "bold #24292f on #f2c55c",
}
_PLAIN_GROUNDS = {
    "ground": "on default",
    "header": "bold underline",
    "status": "on default",
    "footer": "on default",
    "key": "reverse",
    "cursor": "not dim reverse",
    "resting": "on default",
    "blocking": "not dim bold red",
    "blocking.cursor": "not dim bold red reverse",
    "alert": "not dim bold red reverse",
    "notice": "not dim bold yellow reverse",
}


@dataclass(slots=True, eq=False)
class Palette:
    """The styles of one theme: `palette[role]`, or `palette[role, ground]` for a role on a row's ground."""

    roles: dict[str, str]
    grounds: dict[str, str]
    _made: dict[str | tuple[str, str], Style] = field(default_factory=dict)

    def __getitem__(self, key: str | tuple[str, str]) -> Style:
        """The style of a role (on the screen's ground) or of a (role, ground); KeyError for an unknown
        name."""
        style = self._made.get(key)
        if style is None:
            role, ground = (key, "ground") if isinstance(key, str) else key
            below = Style.parse(self.grounds[ground])
            own = Style.parse(self.roles[role])
            # A ground with a colour of its own (an alert) outshouts what stands on it.
            style = own + below if below.color is not None or below.reverse else below + own
            self._made[key] = style
        return style


DEFAULT = "asynctop-dark"
PLAIN = "asynctop-plain"

PALETTES = {
    DEFAULT: Palette(_DARK, _DARK_GROUNDS),
    "asynctop-light": Palette(_LIGHT, _LIGHT_GROUNDS),
    PLAIN: Palette(_PLAIN, _PLAIN_GROUNDS),
}

THEMES = (
    Theme(
        name=DEFAULT,
        primary="#6cb6ff",
        background="#10141b",
        surface="#1b222d",
        panel="#1b222d",
        foreground="#d5dbe6",
        warning="#f0b95b",
        error="#ff7a85",
        success="#7fd18c",
        variables={
            "scrollbar": "#3a4659",
            "scrollbar-background": "#151a22",
            "scrollbar-hover": "#52617a",
            "scrollbar-active": "#6cb6ff",
        },
    ),
    Theme(
        name="asynctop-light",
        primary="#0757b3",
        background="#fcfcfa",
        surface="#e9ecf1",
        panel="#e9ecf1",
        foreground="#24292f",
        warning="#855700",
        error="#bf1725",
        success="#136a2c",
        dark=False,
        variables={
            "scrollbar": "#aab4c2",
            "scrollbar-background": "#f0f1f3",
            "scrollbar-hover": "#8792a2",
            "scrollbar-active": "#0757b3",
        },
    ),
    Theme(
        name=PLAIN,
        primary="ansi_blue",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        foreground="ansi_default",
        warning="ansi_yellow",
        error="ansi_red",
        success="ansi_green",
        ansi=True,
        variables=BUILTIN_THEMES["ansi-dark"].variables
        | {
            "input-cursor-background": "ansi_default",
            "input-cursor-foreground": "ansi_default",
            "input-cursor-text-style": "reverse",
            "scrollbar": "ansi_bright_black",
            "scrollbar-background": "ansi_default",
            "scrollbar-hover": "ansi_white",
            "scrollbar-active": "ansi_white",
        },
    ),
)
