"""The same finding from look to look: its subject may change, such as the task that stalled for longest at a
line, and so may its place, such as the line at which a computation was seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable

from asynctop_console.lints.finding import Finding

_MOST = 1_000
"""Kept, those that were given last: a finding that comes back has its number again."""


def _subject(finding: Finding) -> Hashable:
    return finding.lint, finding.subject_type, finding.subject_id, finding.subject_name


def _subject_and_place(finding: Finding) -> Hashable:
    return _subject(finding), finding.place


def _place(finding: Finding) -> Hashable:
    return (finding.lint, finding.place) if finding.place else None


def _function(finding: Finding) -> Hashable:
    return (finding.lint, finding.place[:2]) if finding.place and finding.place[0] else None


_LIKENESSES: tuple[Callable[[Finding], Hashable], ...] = (_subject_and_place, _place, _function, _subject)
"""What a finding has in common with the one that it renews, the surest sign first."""


def _elsewhere(new: Finding, old: Finding) -> bool:
    """Whether each has a place, in another function: what a task does there is another thing."""
    return bool(new.place and old.place) and _function(new) != _function(old)


class Numbering:
    """Gives each finding a number, and the one that renews it the same one. They count up from 1."""

    def __init__(self) -> None:
        self._findings: dict[int, Finding] = {}
        """As they were last, by number; those that were given last are last."""
        self._next = 1

    def numbered(self, findings: Iterable[Finding]) -> dict[int, Finding]:
        """The findings of one look by number, each of which is of one finding."""
        before, new, found = dict(self._findings), list(findings), dict[int, Finding]()
        for likeness in _LIKENESSES:
            if not new:
                break
            numbers = defaultdict[Hashable, list[int]](list)
            for number, old in before.items():
                numbers[likeness(old)].append(number)
            left = []
            for finding in new:
                key = likeness(finding)
                if key is None or not numbers[key] or _elsewhere(finding, before[numbers[key][-1]]):
                    left.append(finding)
                else:
                    found[number := numbers[key].pop()] = finding
                    del before[number]
            new = left
        for finding in new:
            found[self._next] = finding
            self._next += 1
        kept = list({**before, **found}.items())[-_MOST:]
        self._findings = dict(kept)
        return found
