"""What a report says about all of a recording, and not just about its end: curves, stalls, findings."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from asynctop_console.export.finished import FinishedStalls
from asynctop_console.lints import Finding, Rule, check_all
from asynctop_console.lints.numbering import Numbering
from asynctop_console.model import Model
from asynctop_console.model.stalls import place_of
from asynctop_console.source.recording import Recording
from asynctop_protocol.messages import Stall

_CHECK_NS = 1_000_000_000
"""Between two looks for findings, as a console does."""
_MOST_CELLS = 240
_LEAST_CELL_NS = 250_000_000
"""Programs tell of themselves every tenth of a second."""
_MOST_PLACES = 1_000
_MOST_FINDINGS = 500
"""So much is kept: nobody reads on."""


@dataclass(slots=True)
class Place:
    """The stalls of one place."""

    longest: Stall
    count: int
    total_ns: int


@dataclass(slots=True)
class Sighting:
    """A finding, as it was put last, and when it was there."""

    finding: Finding
    from_ns: int
    until_ns: int


@dataclass(slots=True)
class Cell:
    """A part of the time."""

    ns: int = 0
    polls: int = 0
    busy_ns: int = 0
    """Of the loop that was busiest, tick by tick."""
    lag_ns: int = 0

    @property
    def polls_per_s(self) -> float:
        """Polls a second."""
        return self.polls / self.ns * 1e9

    @property
    def busy_ratio(self) -> float:
        """0.0 to 1.0."""
        return self.busy_ns / self.ns


class Whole:
    """What has been seen so far: `see` is to be called after each batch, `end` after the last."""

    def __init__(self, recording: Recording, rules: tuple[Rule, ...]) -> None:
        self.from_ns = recording.from_ns
        self.until_ns = max(recording.until_ns, self.from_ns + 1)
        self.places: dict[Hashable, Place] = {}
        self.findings: dict[int, Sighting] = {}
        self._numbering = Numbering()
        cells = (self.until_ns - self.from_ns) // _LEAST_CELL_NS
        self._cells = [Cell() for _ in range(min(max(cells, 1), _MOST_CELLS))]
        self._rules = rules
        self._stalls = FinishedStalls(recording.from_ns)
        self._checked_ns = 0
        self._before_ns = 0
        self._polls = 0
        self._busy_ns: dict[int, int] = {}
        """As of the batch before: the polls of all loops, and how long each had been busy."""

    def see(self, model: Model) -> None:
        """Take in what a batch has changed."""
        self._measure(model)
        for stall in self._stalls.take(model):
            self._stalled(stall)
        if model.now_ns >= self._checked_ns + _CHECK_NS:
            self._check(model)

    def end(self, model: Model) -> None:
        """Take in what there is at the end."""
        for stall in self._stalls.take(model, ongoing=True):
            self._stalled(stall)
        self._check(model)

    def curve(self, value: Callable[[Cell], float]) -> list[tuple[float, float]]:
        """Points: when, as a share of the time, and how much. None where nothing was told."""
        count = len(self._cells)
        return [((number + 0.5) / count, value(cell)) for number, cell in enumerate(self._cells) if cell.ns]

    def _measure(self, model: Model) -> None:
        now, since = model.now_ns, self._before_ns
        polls, busy_ns = model.meters.polls, {loop.id: loop.busy_at(now) for loop in model.loops}
        if since and now > since:
            # A loop that was not there yet had not been busy either.
            grown = [busy - self._busy_ns.get(loop, 0) for loop, busy in busy_ns.items()]
            share = (now - self.from_ns) / (self.until_ns - self.from_ns)
            cell = self._cells[min(max(int(share * len(self._cells)), 0), len(self._cells) - 1)]
            cell.ns += now - since
            # The meters begin anew with another program in the same recording.
            cell.polls += max(polls - self._polls, 0)
            cell.busy_ns += min(max([0, *grown]), now - since)
            cell.lag_ns = max([cell.lag_ns, *(loop.max_lag_ns for loop in model.loops)])
        self._before_ns, self._polls, self._busy_ns = now, polls, busy_ns

    def _stalled(self, stall: Stall) -> None:
        place = self.places.get(key := place_of(stall))
        if place is not None:
            place.count += 1
            place.total_ns += stall.duration_ns
            place.longest = max(place.longest, stall, key=lambda each: each.duration_ns)
        elif len(self.places) < _MOST_PLACES:
            self.places[key] = Place(stall, 1, stall.duration_ns)

    def _check(self, model: Model) -> None:
        self._checked_ns = model.now_ns
        for number, finding in self._numbering.numbered(check_all(model, self._rules)).items():
            sighting = self.findings.get(number)
            if sighting is not None:
                sighting.finding, sighting.until_ns = finding, model.now_ns
            elif len(self.findings) < _MOST_FINDINGS:
                self.findings[number] = Sighting(finding, model.now_ns, model.now_ns)
