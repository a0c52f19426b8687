"""A task's polls one by one, for its detail: a time axis, the last ones in words, its times, its wakers."""

from __future__ import annotations

import math

import numpy as np

from asynctop_console.model import Poll, Times, WatchedTask, duration, short
from asynctop_console.model.columns import Ints
from asynctop_console.views.cells import age_text, count
from asynctop_console.views.frame import Frame, Phase, culprit
from asynctop_console.views.line import Piece
from asynctop_console.views.lines import TextLine
from asynctop_console.views.page import LABEL, heading, labelled, paragraph
from asynctop_console.views.status import CAUSES
from asynctop_console.views.tasks import waker_text

HEADING = "Polls, newest first"

_SPANS_NS = (10**7, 10**8, 10**9, 10**10, 60 * 10**9, 600 * 10**9)
"""What the axis may show."""
_USUAL_SPANS_NS = _SPANS_NS[4:0:-1]
"""Of these by itself the longest for which there are polls."""
_LEVELS = " ▁▂▃▄▅▆▇█"
_SHORTEST_NS, _LONGEST_NS = 1_000, 1_000_000_000
"""From the lowest bar to the highest, on a logarithmic scale."""
_QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
_CELL = 9
_MOST_WAKERS = 5
_FEWEST_POLLS, _MOST_POLLS = 8, 40

_NONE = {
    Phase.REPLAY: "a recording has single polls where it was made with --trace, and the task had some",
    Phase.PAST: "none are known: nobody had this page open by then",
}
"""Why there are none."""


class Timeline:
    """Where one looks on a task's time axis: up to now, or at a poll that the cursor is on."""

    def __init__(self) -> None:
        self.at_ns: int | None = None
        """When the poll ended that the cursor is on; None without one."""
        self._until_ns = 0
        """Where the axis ends while there is a cursor."""
        self._span: int | None = None
        """Which of the spans was chosen."""

    def until_ns(self, frame: Frame) -> int:
        """Where the axis ends."""
        return frame.now_ns if self.at_ns is None else self._until_ns

    def span_ns(self, frame: Frame, watched: WatchedTask) -> int:
        """How much time the axis shows."""
        if self._span is not None:
            return _SPANS_NS[self._span]
        covered = frame.now_ns - watched.since_ns
        return next((span for span in _USUAL_SPANS_NS if covered >= span), _USUAL_SPANS_NS[-1])

    def newer(self, watched: WatchedTask) -> int:
        """How many polls are newer than the one that the cursor is on; -1 without one."""
        return -1 if self.at_ns is None else min(watched.since(self.at_ns + 1), watched.polls - 1)

    def zoom(self, frame: Frame, watched: WatchedTask, step: int) -> None:
        """Show more time (1) or less (-1), around the cursor."""
        here = _SPANS_NS.index(self.span_ns(frame, watched))
        self._span = min(max(here + step, 0), len(_SPANS_NS) - 1)
        if self.at_ns is not None:
            self._center(frame, watched, self.at_ns)

    def move(self, frame: Frame, watched: WatchedTask, step: int) -> None:
        """The cursor to the next poll (1) or the one before (-1); beyond the newest there is none."""
        self._put(frame, watched, self.newer(watched) - step)

    def pan(self, frame: Frame, watched: WatchedTask, step: int) -> None:
        """The cursor by half of what the axis shows, to the nearest poll beyond that."""
        here = frame.now_ns if self.at_ns is None else self.at_ns
        goal = here + step * self.span_ns(frame, watched) // 2
        beyond = watched.since(goal) - 1 if step > 0 else watched.since(goal + 1)
        self._put(frame, watched, beyond)

    def _put(self, frame: Frame, watched: WatchedTask, newer: int) -> None:
        polls = watched.last(1, before=min(newer, watched.polls - 1)) if newer >= 0 else []
        until, self.at_ns = self.until_ns(frame), polls[0].ended_ns if polls else None
        self._until_ns = until
        if self.at_ns is not None and not until - self.span_ns(frame, watched) < self.at_ns <= until:
            self._center(frame, watched, self.at_ns)

    def _center(self, frame: Frame, watched: WatchedTask, at_ns: int) -> None:
        self._until_ns = min(at_ns + self.span_ns(frame, watched) // 2, max(frame.now_ns, at_ns))


def history_lines(frame: Frame, task: int, timeline: Timeline, width: int, height: int) -> list[TextLine]:
    """The polls of a task on a time axis, and in words the last ones, or those around the cursor."""
    lines = heading(HEADING)
    watched = frame.model.watched.get(task)
    if watched is None or not watched.polls:
        none = _NONE.get(frame.link.phase, "none since this page was opened")
        return [*lines, *paragraph(none, width, "muted")]
    shown, newer = min(max(height // 3, _FEWEST_POLLS), _MOST_POLLS), timeline.newer(watched)
    polls = watched.last(shown, before=max(min(newer - shown // 2, watched.polls - shown), 0))
    lines += _axis(frame, watched, timeline, width)
    if newer >= 0:
        lines += _told(frame, task, watched.last(2, newer - 1) if newer else watched.last(1), width)
    bar = max(min((width - 52) // 4, 20), 6)
    head = f"  {'ago':<{LABEL - 1}} {'waited':<{_CELL + bar}}{'ran':<{_CELL + bar}}woken by"
    lines.append(TextLine((Piece(head, "muted"),)))
    for poll in polls:
        waker = poll.waker
        chosen = poll.ended_ns == timeline.at_ns
        ago = f"{'►' if chosen else ' '} {age_text(max(frame.now_ns - poll.ended_ns, 0)):<{LABEL}}"
        lines.append(
            TextLine(
                (
                    Piece(ago, "strong" if chosen else "muted"),
                    Piece(f"{duration(poll.waited_ns):<{_CELL - 1}}"),
                    Piece(f"{'▇' * _level(poll.waited_ns, bar):<{bar + 1}}", "bar.scheduled"),
                    Piece(f"{duration(poll.ran_ns):<{_CELL - 1}}"),
                    Piece(f"{'▇' * _level(poll.ran_ns, bar):<{bar + 1}}", _role(frame, poll.ran_ns)),
                    Piece(waker_text(frame.model, *waker) or "not seen", "text"),
                )
            )
        )
    return lines


def times_lines(watched: WatchedTask, width: int) -> list[TextLine]:
    """How long its polls took, and its waits for them."""
    if not watched.ran.counts.any():
        return []
    counted = int(min(watched.ran.counts.sum(dtype=np.float64), 10**15))
    lines = heading(f"Times of its last {count(counted)} polls")
    columns = [name for name, _ in _QUANTILES] + ["max"]
    head = "".join(f"{name:<{_CELL}}" for name in columns)
    lines.append(TextLine((Piece(f"  {'':<{LABEL}}{head}", "muted"),)))
    for label, times in (("ran", watched.ran), ("waited", watched.waited)):
        found = [times.quantile_ns(q) for _, q in _QUANTILES] + [times.max_ns]
        lines.append(
            labelled(label, *(Piece(f"{duration(ns) if ns is not None else '-':<{_CELL}}") for ns in found))
        )
    ran, waited = _octaves(watched.ran), _octaves(watched.waited)
    first, last = np.flatnonzero(ran + waited)[[0, -1]].tolist()
    bar = max(min((width - LABEL - 22) // 2, 40), 6)
    most = int(max(ran.max(), waited.max()))
    for octave in range(first, last + 1):
        pieces: list[Piece] = []
        for counts, role in ((ran, "bar.busy"), (waited, "bar.scheduled")):
            number = int(counts[octave])
            size = round(bar * math.log1p(number) / math.log1p(most))
            pieces += [
                Piece(f"{count(number) if number else '':>7} ", "muted"),
                Piece(f"{'▇' * size:<{bar + 1}}", role),
            ]
        lines.append(labelled(f"< {duration(2**octave)}", *pieces))
    return lines


def waker_lines(frame: Frame, watched: WatchedTask) -> list[TextLine]:
    """What woke it for the polls that are known one by one."""
    if not watched.polls:
        return []
    heads = [labelled("", Piece(f"of the last {watched.polls} wakes", "muted"))]
    return heads + [
        labelled(
            f"{number / watched.polls:.0%}" if number * 100 >= watched.polls else "< 1%",
            Piece(waker_text(frame.model, *waker) or "not seen"),
            goal=waker.task or None,
        )
        for waker, number in watched.wakers()[:_MOST_WAKERS]
    ]


def _axis(frame: Frame, watched: WatchedTask, timeline: Timeline, width: int) -> list[TextLine]:
    room = max(min(width - LABEL - 6, 100), 20)
    span, until = timeline.span_ns(frame, watched), timeline.until_ns(frame)
    ran, waited = watched.longest(until, span, room)
    begin, end = f"{duration(span)} ago", "now"
    if until < frame.now_ns - span // room:
        begin, end = f"{duration(span)} before", f"{duration(frame.now_ns - until)} ago"
    lines = [
        labelled("waited", *(Piece(_glyph(ns), "bar.scheduled") for ns in waited.tolist())),
        labelled("ran", *(Piece(_glyph(ns), _role(frame, ns)) for ns in ran.tolist())),
    ]
    axis = f"{begin:<{room - len(end)}}{end}"
    if timeline.at_ns is None:
        return [*lines, labelled("", Piece(axis, "faint"))]
    step = max(span // room, 1)
    column = min(max((timeline.at_ns - 1) // step - until // step + room - 1, 0), room - 1)
    return [*lines, labelled("", Piece(" " * column + "▲", "accent")), labelled("", Piece(axis, "faint"))]


def _told(frame: Frame, task: int, polls: list[Poll], width: int) -> list[TextLine]:
    """What happened at the last of these polls, and from then to the one before it in the list."""
    *after, poll = polls
    then = f", then idle for {duration(after[0].woken_ns - poll.ended_ns)}" if after else ""
    ended = f", ended {age_text(max(frame.now_ns - poll.ended_ns, 0))} ago"
    lines = [
        labelled(
            "this poll",
            Piece(f"waited {duration(poll.waited_ns)}, ran "),
            Piece(duration(poll.ran_ns), _role(frame, poll.ran_ns, "strong")),
            Piece(ended + then),
        ),
        labelled(
            "woken by",
            Piece(waker_text(frame.model, *poll.waker) or "not seen"),
            goal=poll.waker.task or None,
        ),
    ]
    for stall in frame.stalls:
        if stall.task == task and poll.started_ns <= stall.started_ns <= poll.ended_ns:
            lines.append(
                labelled(
                    "blocked at",
                    Piece(culprit(stall, width - 40) or "a line that nobody saw", "place"),
                    Piece(f"  {CAUSES[stall.cause]}", "warn"),
                )
            )
    yielded = short(frame.model.text(poll.yielded.file), poll.yielded.line, width - LABEL - 3)
    if yielded:
        lines.append(labelled("yielded at", Piece(yielded, "place")))
    return [*lines, TextLine()]


def _octaves(times: Times) -> Ints:
    """Two half octaves to a bar, as many bars as there can be."""
    padded = np.zeros(129, np.int64)
    padded[: len(times.counts)] = times.counts
    return np.concatenate((padded[:1], padded[1::2] + padded[2::2]))


def _level(ns: int, levels: int) -> int:
    """0 for nothing, else from 1 to `levels`."""
    if ns <= 0:
        return 0
    share = math.log(max(ns, 1) / _SHORTEST_NS) / math.log(_LONGEST_NS / _SHORTEST_NS)
    return min(max(math.ceil(share * levels), 1), levels)


def _glyph(ns: int) -> str:
    return _LEVELS[_level(ns, len(_LEVELS) - 1)]


def _role(frame: Frame, ns: int, usual: str = "bar.busy") -> str:
    return "bad" if ns > frame.threshold_ns else usual
