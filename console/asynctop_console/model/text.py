"""Texts by number, cleaned where they enter the model."""

from __future__ import annotations

from asynctop_console.clean import clean, clean_path
from asynctop_console.model import limits
from asynctop_console.model.places import Frame
from asynctop_protocol import ProtocolError


def clean_frames(frames: list[Frame]) -> list[Frame]:
    """The innermost frames of a stack, (function, file, line) each, cleaned."""
    return [(clean(function), clean_path(file), line) for function, file, line in frames[-limits.FRAMES :]]


class Texts:
    """The texts of one connection by number. Number 0, and any number never announced, is ""."""

    def __init__(self) -> None:
        self._texts = [""]
        self._chars = 0

    def add(self, first: int, texts: list[str]) -> None:
        """Numbers from `first` on stand for `texts` from now on. ProtocolError beyond the limits."""
        end = first + len(texts)
        if first < 0 or end > limits.TEXTS:
            raise ProtocolError(
                f"the runtime numbers its texts {first} to {end - 1}, expected 0 to {limits.TEXTS - 1}"
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
        return self._texts[number] if 0 < number < len(self._texts) else ""

    def holding(self, word: str) -> list[int]:
        """The numbers of the texts in which this word stands, whatever its case."""
        word = word.lower()
        return [number for number, text in enumerate(self._texts) if word in text.lower()]
