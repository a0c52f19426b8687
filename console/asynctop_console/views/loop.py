"""The detail of a loop: what it does, what it did in the last minutes, and its long turns."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.binding import BindingType

from asynctop_console.model.loops import Loop
from asynctop_console.model.past import OfLoop
from asynctop_console.model.times import duration
from asynctop_console.views.cells import ago, count
from asynctop_console.views.frame import Frame
from asynctop_console.views.keys import bindings
from asynctop_console.views.line import Piece
from asynctop_console.views.lines import TextLine
from asynctop_console.views.page import Page, heading, labelled, paragraph
from asynctop_console.views.plots import COUNTS, RATES, SHARES, TIMES, Plot, Plotted
from asynctop_protocol.messages import LoopState

STATES = {
    LoopState.RUNNING: ("►", "running", "polling"),
    LoopState.STALLED: ("█", "stalled", "bad"),
    LoopState.IDLE: ("·", "idle", "idle"),
    LoopState.CLOSED: ("■", "closed", "faint"),
}
"""Glyph, word and role of a loop's state."""
_PLOTS = (
    Plot("busy", SHARES, OfLoop.BUSY, "bar.busy"),
    Plot("lag", TIMES, OfLoop.LAG_MAX, "place", OfLoop.LAG_P50, ("max", "p50")),
    Plot("polls/s", RATES, OfLoop.POLLS, "accent"),
    Plot("tasks", COUNTS, OfLoop.LIVE, "kind"),
    Plot("spawned/s", RATES, OfLoop.SPAWNED, "muted"),
    Plot("ended/s", RATES, OfLoop.ENDED, "muted"),
)
_LINES = 6
"""Of a plot on a page, at least."""
_MOST_TURNS = 8
_LAG = (
    "Lag: how long woken tasks waited for their polls. Each tick tells of the longest wait since the one "
    "before; p50 is the median of these, max the longest."
)


def runs_now(frame: Frame, loop: Loop) -> str:
    """What a loop runs now, and how long it has where that is too long; "" where nothing."""
    if loop.state == LoopState.STALLED:
        return f"{duration(frame.now_ns - loop.current_since_ns)} {loop.current}"
    return loop.current if loop.state == LoopState.RUNNING else ""


def plots_of(frame: Frame) -> tuple[Plot, ...]:
    """The plots of a loop. How many tasks are spawned is only known of all loops together."""
    if len(frame.model.loops) < 2:
        return _PLOTS
    together = (OfLoop.SPAWNED, OfLoop.ENDED)
    return tuple(
        replace(plot, title=f"{plot.title}, all") if plot.of in together else plot for plot in _PLOTS
    )


class LoopDetail(Plotted, Page):
    """Everything about one loop."""

    KEYS_OF = "plots"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("plots")]

    def __init__(self, loop: int) -> None:
        super().__init__()
        self.about = loop

    def copied(self, frame: Frame) -> str:
        """Its thread."""
        loop = frame.model.loop(self.about)
        return loop.thread if loop else ""

    def lines(self, frame: Frame) -> list[TextLine]:
        """All about the loop."""
        model = frame.model
        loop = model.loop(self.about)
        if loop is None:
            return self.gone("This loop is no longer known.")
        glyph, word, role = STATES[loop.state]
        lag = model.meters.lags().get(loop.id)
        runs = runs_now(frame, loop)
        goal = loop.current_task or None if loop.state == LoopState.STALLED else None
        lines = [
            TextLine(
                (Piece(f" {loop.thread}", "strong"), Piece(f"  loop {loop.id}  {loop.runtime}", "muted"))
            ),
            labelled(
                "state",
                Piece(f"{glyph} {word}", role),
                Piece(f"  {runs}", "kind"),
                goal=goal,
            ),
            labelled(
                "lag",
                Piece(duration(loop.max_lag_ns)),
                *(
                    [Piece(f"   p99 {duration(lag.p99_ns)}   max {duration(lag.max_ns)}", "muted")]
                    if lag
                    else []
                ),
                Piece(f"   max ever {duration(loop.max_lag_ever_ns)}", "muted"),
            ),
            labelled(
                "turns",
                Piece(f"{loop.turns:,}"),
                Piece(f"   longest {duration(loop.max_turn_ever_ns)}", "muted"),
                Piece(f"   polls {loop.polls:,}", "muted"),
                Piece(f"   callbacks {loop.callbacks:,}", "muted"),
            ),
            *self.plots_heading(frame),
        ]
        plots = plots_of(frame)
        room = max(_LINES * len(plots), self.app.size.height - 4 - len(lines)) + 1
        lines += self.plot_lines(plots, frame, model.past.loops, loop.id, room)
        return lines + paragraph(_LAG, self.app.size.width, "faint") + self._turns(frame, loop)

    def _turns(self, frame: Frame, loop: Loop) -> list[TextLine]:
        """Its long turns of the last minute."""
        turns = frame.model.turns.of(loop.id)[-_MOST_TURNS:]
        if not turns:
            return []
        lines = heading("Long turns")
        for turn in reversed(turns):
            polls = f"  {count(turn.polls)} polls and callbacks, the longest {duration(turn.longest_ns)}"
            lines.append(
                labelled(
                    ago(max(frame.now_ns - turn.since_ns, 0)),
                    Piece(f"{duration(turn.took_ns):>7}", "warn"),
                    Piece(polls, "muted"),
                    Piece(
                        f"  most of it in {frame.model.kinds.label(turn.kind)}" if turn.kind else "", "kind"
                    ),
                )
            )
        return lines
