"""Texts by the million, laid end to end: a word is looked for in all of them at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_BETWEEN = b"\xff"
"""No part of any character in UTF-8, so no word goes over the end of a text."""


class Haystack:
    """One line of text per row. It does not change: where a text does, another one is made."""

    def __init__(self, texts: Sequence[str]) -> None:
        """`texts` are cleaned, so that none has a line's end in it."""
        joined = "".join([f"{text}\n" for text in texts]).lower().encode().replace(b"\n", _BETWEEN)
        self._bytes = np.frombuffer(joined, np.uint8)
        self._ends = np.flatnonzero(self._bytes == _BETWEEN[0])

    def holding(self, word: str) -> npt.NDArray[np.bool_]:
        """In which texts this word stands, whatever its case."""
        wanted = word.lower().encode(errors="surrogatepass")
        if not wanted:
            return np.ones(len(self._ends), np.bool_)
        room = max(len(self._bytes) - len(wanted) + 1, 0)
        begins = self._bytes[:room] == wanted[0]
        for offset, byte in enumerate(wanted[1:], 1):
            begins &= self._bytes[offset : room + offset] == byte
        found = np.zeros(len(self._ends), np.bool_)
        found[np.searchsorted(self._ends, np.flatnonzero(begins))] = True
        return found
