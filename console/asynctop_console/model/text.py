"""Texts from a foreign program: cleaned where they enter the model, then kept by number.

A task's name may hold an escape sequence, a bidi override or half a megabyte. Behind this door there are only
printable characters, in sane lengths, so that a view can put any text on the terminal. How wide a character
is remains the views' concern.
"""

from __future__ import annotations

from asynctop_console.model import limits
from asynctop_protocol import ProtocolError

LENGTH = 400
"""Longest text kept, in characters: room for a long path, and no name needs more."""

ELLIPSIS = "…"

_SHOWN = {"\n": "↵", "\r": "↵", "\t": " ", "\xa0": " ", "\u3000": " "}


def clean(text: str, length: int = LENGTH) -> str:
    """Return `text` in printable characters only, at most `length` long, cut at its end.

    Control characters (C0, C1, ESC), bidi and zero-width characters, lone surrogates and whatever else
    `str.isprintable` refuses become visible escapes such as `\\x1b`; a newline becomes "↵".
    """
    if len(text) > length:
        text = text[: length - 1] + ELLIPSIS
    if text.isprintable():
        return text
    shown = "".join(char if char.isprintable() else _visible(char) for char in text)
    return shown if len(shown) <= length else shown[: length - 1] + ELLIPSIS


def clean_path(path: str, length: int = LENGTH) -> str:
    """The same for a file's path, whose end tells more than its beginning: cut on the left."""
    shown = clean(path, length=max(len(path), 1) * len(r"\U0010ffff"))
    return shown if len(shown) <= length else ELLIPSIS + shown[1 - length :]


def clean_frames(frames: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """The innermost frames of a stack, (function, file, line) each, cleaned."""
    return [(clean(function), clean_path(file), line) for function, file, line in frames[-limits.FRAMES :]]


def _visible(char: str) -> str:
    return _SHOWN.get(char) or char.encode("unicode_escape").decode("ascii")


class Texts:
    """The texts of one connection by number. Number 0, and any number never announced, is ""."""

    def __init__(self) -> None:
        self._texts = [""]
        self._chars = 0

    def add(self, first: int, texts: list[str]) -> None:
        """Numbers from `first` on stand for `texts` from now on. ProtocolError beyond the limits."""
        end = first + len(texts)
        if first < 1 or end > limits.TEXTS:
            raise ProtocolError(
                f"the runtime numbers its texts {first} to {end - 1}, expected 1 to {limits.TEXTS - 1}"
            )
        cleaned = [clean(text) for text in texts]
        if len(self._texts) < end:
            self._texts.extend([""] * (end - len(self._texts)))
        self._chars += sum(map(len, cleaned)) - sum(map(len, self._texts[first:end]))
        if self._chars > limits.TEXT_CHARS:
            raise ProtocolError(
                f"the runtime sent {self._chars:,} characters of texts, "
                f"the console takes {limits.TEXT_CHARS:,}"
            )
        self._texts[first:end] = cleaned

    def __getitem__(self, number: int) -> str:
        return self._texts[number] if 0 <= number < len(self._texts) else ""
