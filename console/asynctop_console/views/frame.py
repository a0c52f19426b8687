"""What the screens are drawn from: a model, what time it is for it, and how its source stands."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from asynctop_console.lints import Finding
from asynctop_console.model import Model
from asynctop_console.model.places import short, users_frame
from asynctop_console.model.tasks import ALL, Selection
from asynctop_protocol.messages import Hello, Stall, State

SILENT_AFTER_NS = 1_500_000_000
"""Without news for so long, and several ticks late: whoever publishes cannot run."""

_USUAL_THRESHOLD_NS = 100_000_000
"""Where the runtime does not say what it calls a stall."""


class Phase(enum.Enum):
    """How the connection stands."""

    CONNECTING = "connecting"
    LIVE = "live"
    RECONNECTING = "reconnecting"
    EXITED = "exited"
    """The program said good-bye or is gone; the source goes on looking for a new one."""
    REPLAY = "replay"
    """It is a recording; `Link.text` says where in it this is."""
    PAST = "past"
    """An earlier moment of a program; `Link.text` says when that was."""
    REFUSED = "refused"
    """Whoever answers does not speak our protocol; nothing will change by waiting."""


@dataclass(frozen=True, slots=True)
class Link:
    """How the source stands, as it says."""

    phase: Phase
    target: str
    """What the user asked to look at, in a few words."""
    text: str = ""
    """Why, in one line."""
    retry_s: int = 0
    """In how many seconds it tries again."""
    attempt: int = 0
    again: bool = False
    """Whether a restarted program will be found."""


@dataclass(frozen=True)
class Frame:
    """One moment of the console. Made anew for each painting; what it works out, it works out once."""

    model: Model
    link: Link
    now_ns: int
    """The target's clock: the last tick's time, and while connected what has passed here since."""
    findings: list[Finding]
    """What the lints said last, worst first."""
    paused: bool = False
    held: int = 0
    """Updates waiting while paused."""
    overdue: bool = False
    """Whether the next tick should have come by now: what went on at the last one most likely goes on."""
    silent_ns: int = 0
    """For how long a connected target has said nothing, where that is too long; else 0."""

    @cached_property
    def threshold_ns(self) -> int:
        """From when on a poll is a stall."""
        hello: Hello | None = self.model.hello
        return (hello.stall_threshold_ns if hello else 0) or _USUAL_THRESHOLD_NS

    def blocking(self, rows: Selection = ALL) -> NDArray[np.bool_]:
        """Row by row, which tasks were in a poll for too long at the last tick.

        Asked anew each time: at a key or a resize the model may have more rows than when it was painted.
        """
        tasks = self.model.tasks
        blocking = tasks.in_state(State.POLLING, rows)
        # Of a million tasks, few are in a poll: the times of the others are not looked at.
        polled = np.flatnonzero(blocking)
        blocking[polled] = self.model.now_ns - tasks.since_ns[rows][polled] > self.threshold_ns
        return blocking

    @property
    def unread(self) -> str:
        """What is said of a task whose await chain nobody has read."""
        live = self.link.phase is Phase.LIVE
        return "asking the program ..." if live else "not known: the program was not asked"

    @cached_property
    def stalls(self) -> list[Stall]:
        """All stalls kept, oldest first."""
        return self.model.stalls

    @cached_property
    def ongoing(self) -> list[Stall]:
        """The stalls going on, longest first."""
        found = [stall for stall in self.stalls if stall.ongoing]
        return sorted(found, key=lambda stall: stall.started_ns)

    @cached_property
    def flagged(self) -> frozenset[int]:
        """The tasks that findings concern."""
        return frozenset[int]().union(*[finding.tasks for finding in self.findings])

    def about(self, task: int) -> list[Finding]:
        """The findings that concern a task."""
        return [finding for finding in self.findings if task in finding.tasks]

    @property
    def known_ns(self) -> int:
        """Up to when what goes on at the last tick is taken to go on."""
        return self.now_ns if self.overdue else self.model.now_ns

    def lasted_ns(self, stall: Stall) -> int:
        """How long a stall took, as far as is known where it goes on."""
        return (
            max(self.known_ns - stall.started_ns, stall.duration_ns) if stall.ongoing else stall.duration_ns
        )


def culprit(stall: Stall, width: int = 40) -> str:
    """Where a stall is: "app.py:12 in handler", "" where nobody saw."""
    frame = users_frame(stall.stack)
    if frame is None:
        return ""
    function, file, line = frame
    return f"{short(file, line, width)} in {function}"
