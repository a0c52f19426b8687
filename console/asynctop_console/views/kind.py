"""The detail of a kind: its sums over all tasks there ever were, and what they did in the last minutes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from textual.binding import BindingType

from asynctop_console.model.past import OfKind
from asynctop_console.model.times import duration
from asynctop_console.views.cells import count
from asynctop_console.views.editor import Place
from asynctop_console.views.frame import Frame
from asynctop_console.views.keys import bindings
from asynctop_console.views.line import Piece
from asynctop_console.views.lines import TextLine
from asynctop_console.views.page import UNSEEN, Page, ToKind, heading, labelled, placed
from asynctop_console.views.plots import COUNTS, RATES, SHARES, TIMES, Plot, Plotted

_PLOTS = (
    Plot("busy", SHARES, OfKind.BUSY, "bar.busy"),
    Plot("poll time", TIMES, OfKind.POLL_P99, "place", OfKind.POLL_P50, ("p99", "p50")),
    Plot("wait, mean", TIMES, OfKind.WAIT, "bar.scheduled"),
    Plot("polls/s", RATES, OfKind.POLLS, "accent"),
    Plot("tasks", COUNTS, OfKind.LIVE, "kind"),
    Plot("spawned/s", RATES, OfKind.SPAWNED, "muted"),
    Plot("ended/s", RATES, OfKind.ENDED, "muted"),
)
_LINES = 6
"""Of a plot, at least."""


class KindDetail(Plotted, Page):
    """Everything about one kind; Enter goes to its tasks."""

    KEYS_OF = "plots"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("plots")]

    def __init__(self, kind: int) -> None:
        super().__init__()
        self.about = kind

    def copied(self, frame: Frame) -> str:
        """The coroutine function."""
        return frame.model.kinds.label(self.about)

    def place(self, frame: Frame) -> Place | None:
        """Where it is defined."""
        file, line = frame.model.kinds.defined(self.about)
        return (file, line) if file else None

    def action_open(self) -> None:
        """Its tasks."""
        self.follow(ToKind(self.about))

    def lines(self, frame: Frame) -> list[TextLine]:
        """All about the kind."""
        kinds, kind = frame.model.kinds, self.about
        tasks, now = frame.model.tasks, frame.model.now_ns
        if kind >= kinds.rows:
            return self.gone("This kind is not known yet.")
        width, height = self.app.size
        label = kinds.label(kind)
        live, spawned = int(kinds.live[kind]), int(kinds.spawned[kind])
        ends = ((name, int(getattr(kinds, name)[kind])) for name in _ENDS)
        lines = [
            TextLine((Piece(f" {label}", "strong"), Piece(f"  kind K{kind}", "muted"))),
            labelled(
                "tasks",
                Piece(f"{live:,} live"),
                Piece(f" of {spawned:,} spawned", "muted"),
                goal=ToKind(kind),
            ),
            labelled(
                "ended",
                Piece(", ".join(f"{number:,} {name}" for name, number in ends if number) or "none yet"),
            ),
            placed("defined at", kinds.defined_at(kind), "not known", width),
            placed("spawned at", kinds.spawned_at(kind), UNSEEN, width),
            labelled(
                "polls",
                Piece(f"{int(kinds.polls[kind]):,}"),
                Piece(f"   busy {duration(int(kinds.busy_at(now, tasks)[kind]))}", "muted"),
                Piece(f"   scheduled {duration(int(kinds.scheduled_ns[kind]))}", "muted"),
                Piece(f"   longest {duration(int(kinds.max_poll_at(now, tasks)[kind]))}", "muted"),
            ),
            *self.plots_heading(frame),
        ]
        room = max(_LINES * len(_PLOTS), height - 4 - len(lines)) + 1
        lines += self.plot_lines(_PLOTS, frame, frame.model.past.kinds, kind, room)
        return lines + histogram_lines(frame, kind, width)


_ENDS = ("returned", "raised", "cancelled", "destroyed", "unknown")
"""How tasks end: columns of the kinds' table."""


def histogram_lines(frame: Frame, kind: int, width: int) -> list[TextLine]:
    """How long the polls of all tasks of a kind took."""
    kinds = frame.model.kinds
    if not 0 < kind < kinds.rows or not kinds.histogram[kind].any():
        return []
    counts = kinds.histogram[kind]
    # Two half octaves to a bar: as many bars as one can tell apart.
    octaves = np.concatenate((counts[:1], counts[1:-1:2] + counts[2::2]))
    first, last = np.flatnonzero(octaves)[[0, -1]].tolist()
    most, room = int(octaves.max()), max(min(width - 36, 50), 10)
    lines = heading(f"Poll times of all {kinds.label(kind)}")
    quantiles = [(f"p{q:g}", kinds.quantile_ns(kind, q / 100)) for q in (50, 90, 99)]
    longest = kinds.max_poll_at(frame.model.now_ns, frame.model.tasks)
    quantiles.append(("max", int(longest[kind])))
    texts = [Piece(f"{name} {duration(ns)}   ", "text") for name, ns in quantiles if ns is not None]
    lines.append(labelled("quantiles", *texts))
    for octave in range(first, last + 1):
        number = int(octaves[octave])
        # On a logarithmic scale: a single slow poll among a million is what one is looking for.
        size = round(room * np.log1p(number) / np.log1p(most)) if number else 0
        role = "bar.busy" if octave < 24 else "bar.scheduled" if octave < 27 else "bad"
        lines.append(
            labelled(
                f"< {duration(2**octave)}", Piece(f"{count(number):>7} ", "muted"), Piece("▇" * size, role)
            )
        )
    return lines
