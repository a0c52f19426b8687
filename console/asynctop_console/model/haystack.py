"""Texts by the million, laid end to end: a word is looked for in all of them at once, and they are put in
order. What takes long is numpy's, which lets other threads run meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from asynctop_console.model.columns import Ints

_BETWEEN = b"\xff"
"""No part of any character in UTF-8, so no word goes over the end of a text."""
_PIECE = 1 << 14
"""Texts joined at once: some milliseconds."""
_WORD = 8
"""Bytes that are compared as one number."""


class Haystack:
    """One line of text per row. It does not change: where a text does, another one is made."""

    def __init__(self, texts: Sequence[str] | npt.NDArray[np.object_]) -> None:
        """`texts` are cleaned, so that none has a line's end in it."""
        pieces = (texts[start : start + _PIECE] for start in range(0, len(texts), _PIECE))
        joined = b"".join([_lines(piece) for piece in pieces])
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

    def ranks(self) -> Ints:
        """Numbers that sort as the texts do, whatever their case; equal texts have equal ones.

        The first bytes of all texts are compared as one number each; of those that are equal in them the next
        bytes, and so on.
        """
        ranks = np.zeros(len(self._ends), np.int64)
        begins = np.concatenate((ranks[:1], self._ends[:-1] + 1))
        alike = np.arange(len(ranks))
        while len(alike):
            words = self._words(begins[alike], self._ends[alike])
            order = np.lexsort((words, ranks[alike]))
            alike, words = alike[order], words[order]
            rank = ranks[alike]
            place = np.arange(len(alike))
            first = np.concatenate((place[:1] == 0, np.diff(rank) != 0))
            other = first.copy()
            other[1:] |= words[1:] != words[:-1]
            # From the first of its rank to the first with its word: so many stand before it.
            ranks[alike] = rank + _last(place, other) - _last(place, first)
            begins[alike] = np.minimum(begins[alike] + _WORD, self._ends[alike])
            single = other & np.append(other[1:], True)
            alike = alike[~single & ((words & 0xFF) != 0)]
        return ranks

    def _words(self, begins: Ints, ends: Ints) -> npt.NDArray[np.uint64]:
        """The next bytes of each text as a number, with zeros behind its end."""
        words = np.zeros(len(begins), np.uint64)
        for at in range(_WORD):
            here = np.minimum(begins + at, ends)
            byte = np.where(here < ends, self._bytes[here], 0)
            words = (words << np.uint64(8)) | byte.astype(np.uint64)
        return words


def _lines(texts: Sequence[str] | npt.NDArray[np.object_]) -> bytes:
    return "".join([f"{text}\n" for text in texts]).lower().encode().replace(b"\n", _BETWEEN)


def _last(place: Ints, begins: npt.NDArray[np.bool_]) -> Ints:
    """For each place the last one up to it where something begins."""
    last: Ints = np.maximum.accumulate(np.where(begins, place, 0))
    return last
