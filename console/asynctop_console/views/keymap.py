"""Which keys do what: the table's, but for those that the user has put in their place; and how people write
them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from itertools import chain, zip_longest

from asynctop_console.views.keys import APP, EVERYWHERE, KEYS, Key, keys_of

_WRITTEN = {
    "escape": "Esc",
    "enter": "Enter",
    "space": "space",
    "tab": "Tab",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "insert": "Ins",
    "delete": "Del",
    "backspace": "Bksp",
    **{f"f{number}": f"F{number}" for number in range(1, 25)},
}
"""Keys that are no characters, by Textual's names."""
_ARROWS = ("up", "down", "left", "right")
_TYPED = {written.lower(): name for name, written in _WRITTEN.items()} | {name: name for name in _WRITTEN}
_RENAMED = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}
"""Characters that Textual calls otherwise than Unicode does."""
_KEY = re.compile(r"(\^|(?:(?:ctrl|alt|shift)[+-])*)(.+)", re.IGNORECASE | re.DOTALL)

EXAMPLES = '"F", "f5", "ctrl+f" or "space"'


def key_name(text: str) -> str | None:
    """Textual's name of a key as people write it, "F", "/", "f5", "^F", "ctrl+f", "PgUp"; None for none."""
    match = _KEY.fullmatch(text)
    if match is None:
        return None
    held = {"ctrl"} if match[1] == "^" else set(re.findall("[a-z]+", match[1].lower()))
    pressed = match[2]
    name = _TYPED.get(pressed.lower())
    if name is None:
        name = _character_name(pressed) if len(pressed) == 1 else pressed if _character(pressed) else None
    if name is None:
        return None
    if "shift" in held and len(name) == 1:
        held.remove("shift")
        name = name.upper()
    if held and len(name) == 1:
        # No terminal tells Ctrl-F from Ctrl-f.
        name = name.lower()
    return "+".join([*sorted(held), name])


def written(name: str, arrows: bool = True) -> str:
    """A key by Textual's name as people write it: "F5", "^F", "/"; arrows as such, or in words."""
    *held, last = name.split("+")
    shown = _WRITTEN.get(last) or _character(last) or last
    if last in _ARROWS and not arrows:
        shown = last.capitalize()
    if held == ["ctrl"] and len(shown) == 1:
        return f"^{shown.upper()}"
    return "".join(f"{each.capitalize()}-" for each in held) + shown


def _character_name(character: str) -> str | None:
    """The name of what one character stands for, None where it is none that is typed."""
    if character.isalnum():
        return character
    if not character.isprintable():
        return None
    name = unicodedata.name(character, "").lower().replace("-", "_").replace(" ", "_")
    return _RENAMED.get(name, name) or None


def _character(name: str) -> str:
    """The character with this name, "" where it is no such name."""
    if len(name) == 1:
        return name
    try:
        return _ASCII.get(name) or unicodedata.lookup(name.replace("_", " "))
    except KeyError:
        return ""


_ASCII = {_character_name(character): character for character in map(chr, range(0x21, 0x7F))}


class Keymap:
    """The keys in force."""

    def __init__(self, chosen: Mapping[str, tuple[str, ...]] | None = None, arrows: bool = True) -> None:
        """`chosen` are the user's, Textual's names by what they do (`Key.id`). Without `arrows` such keys are
        written in words."""
        self.chosen = dict(chosen or {})
        self._arrows = arrows

    def keys(self, key: Key) -> tuple[str, ...]:
        """Textual's names of the keys that do this."""
        return self.chosen.get(key.id) or tuple(key.keys.split(","))

    def first(self, key: Key) -> str:
        """The first of them, as people write it."""
        return written(self.keys(key)[0], self._arrows)

    def shown(self, key: Key) -> str:
        """All of them, and those of what is shown with it; "" for what is shown with another."""
        if key.id in _BESIDE:
            return ""
        other = self.keys(_BY_ID[key.beside]) if key.beside else ()
        both = chain.from_iterable(zip_longest(self.keys(key), other))
        return " ".join(written(name, self._arrows) for name in both if name)

    def named(self, id: str) -> str:
        """What to press for the action with this id."""
        return self.first(_BY_ID[id])

    def clash(self) -> tuple[Key, Key, str] | None:
        """Two actions on one key of one screen, and that key; the first of them is of the user's choice."""
        for screen in EVERYWHERE:
            taken: dict[str, Key] = {}
            for key in sorted(keys_of(screen) + keys_of(APP), key=lambda key: key.id in self.chosen):
                for name in self.keys(key):
                    other = taken.setdefault(name, key)
                    if other is not key:
                        return key, other, name
        return None


_BY_ID = {key.id: key for key in KEYS}
_BESIDE = {key.beside for key in KEYS}

DEFAULT_KEYS = Keymap()
"""The table's own."""
