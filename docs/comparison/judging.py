"""What a tool's words are worth: a rule for all tools, and nothing but that rule.

`line`: it complained, and the guilty line (the one that the scenario marks) stands in a complaint.
`symptom`: it complained, but does not name that line.
`shown`: it does not complain of anything, but shows the line, among others.
`silent`: none of these. `failed`: it could not be used.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

_QUOTED = 1200
"""Characters of a quotation."""
_PLACE = re.compile(r"([\w.\-]+\.py)\W{1,4}(?:line )?(\d+)")
_VARIABLE = re.compile(r"0x[0-9a-f]+|\d+\.\d+|\d{5,}|\d+ ?ms|Task-\d+|\bduration\S* \S+")


@dataclass(frozen=True)
class Cell:
    """What one tool was worth in one scenario."""

    verdict: str
    others: int = 0
    """Other complaints that differ in more than their numbers; or, where the line is shown, the other lines
    shown with it."""
    quote: str = ""
    """Its words: those with the line, if there are any."""


def judged(words: list[str], place: str, complains: bool) -> Cell:
    """The verdict on all that a tool said. `place` is the guilty line: "file.py:12"."""
    file, _, line = place.rpartition(":")
    guilty = re.compile(rf"(?<![\w\-]){re.escape(file)}\W{{1,4}}(?:line )?{line}\b")
    words = [word for word in words if word.strip()]
    named = [word for word in words if guilty.search(word)]
    if not words or not (named or complains):
        return Cell("silent", quote=_quoted(words[0], guilty) if words else "")
    if not complains:
        best = min(named, key=lambda word: len(_places(word)))
        return Cell("shown", len(_places(best) - {place}), _quoted(best, guilty))
    said = named or words
    different = Counter(_VARIABLE.sub("#", word) for word in words)
    return Cell("line" if named else "symptom", len(different) - 1, _quoted(said[0], guilty))


def _places(word: str) -> set[str]:
    return {f"{file}:{line}" for file, line in _PLACE.findall(word)}


def _quoted(word: str, guilty: re.Pattern[str]) -> str:
    """The beginning, and what is around the guilty line; what is left out is marked."""
    lines = word.strip("\n").splitlines()
    if len(word) <= _QUOTED:
        return "\n".join(line.rstrip() for line in lines)
    at = [number for number, line in enumerate(lines) if guilty.search(line)]
    kept = {0, 1, *(near for number in at[:1] for near in range(number - 4, number + 5))}
    if not at:
        kept |= set(range(12))
    found: list[str] = []
    for number, line in enumerate(lines):
        if number in kept:
            found.append(_short(line.rstrip(), guilty))
        elif found[-1] != "[...]":
            found.append("[...]")
    return "\n".join(found)


def _short(line: str, guilty: re.Pattern[str]) -> str:
    most = _QUOTED // 3
    if len(line) <= most:
        return line
    match = guilty.search(line)
    if not match or match.end() < most:
        return line[:most] + " [...]"
    return f"{line[: most // 3]} [...] {line[match.start() - most // 3 : match.end() + most // 3]} [...]"
