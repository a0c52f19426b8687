"""A task's polls one by one, for its detail: a time axis, the last ones in words, its times, its wakers."""

from __future__ import annotations

import math

import numpy as np

from asynctop_console.model import Times, WatchedTask, duration
from asynctop_console.model.columns import Ints
from asynctop_console.views.cells import age_text, count
from asynctop_console.views.frame import Frame, Phase
from asynctop_console.views.line import Piece
from asynctop_console.views.lines import TextLine
from asynctop_console.views.page import LABEL, heading, labelled, paragraph
from asynctop_console.views.tasks import waker_text

_SPANS_NS = (60_000_000_000, 10_000_000_000, 1_000_000_000, 100_000_000)
"""What the axis may show: the longest of them for which there are polls."""
_LEVELS = " ▁▂▃▄▅▆▇█"
_SHORTEST_NS, _LONGEST_NS = 1_000, 1_000_000_000
"""From the lowest bar to the highest, on a logarithmic scale."""
_QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
_CELL = 9
_MOST_WAKERS = 5
_FEWEST_POLLS, _MOST_POLLS = 8, 40


def history_lines(frame: Frame, task: int, width: int, height: int) -> list[TextLine]:
    """The polls of a task on a time axis, and the last ones in words."""
    lines = heading("Polls, newest first")
    watched = frame.model.watched.get(task)
    polls = watched.last(min(max(height // 3, _FEWEST_POLLS), _MOST_POLLS)) if watched else []
    if watched is None or not polls:
        replay = frame.link.phase is Phase.REPLAY
        none = (
            "a recording has single polls where it was made with --trace, and the task had some"
            if replay
            else "none since this page was opened"
        )
        return [*lines, *paragraph(none, width, "muted")]
    lines += _axis(frame, watched, width)
    bar = max(min((width - 52) // 4, 20), 6)
    head = f"  {'ago':<{LABEL - 1}} {'waited':<{_CELL + bar}}{'ran':<{_CELL + bar}}woken by"
    lines.append(TextLine((Piece(head, "muted"),)))
    for poll in polls:
        waker = poll.waker
        lines.append(
            TextLine(
                (
                    Piece(f"  {age_text(max(frame.now_ns - poll.ended_ns, 0)):<{LABEL}}", "muted"),
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


def _axis(frame: Frame, watched: WatchedTask, width: int) -> list[TextLine]:
    room = max(min(width - LABEL - 6, 100), 20)
    covered = frame.now_ns - watched.since_ns
    span = next((each for each in _SPANS_NS if covered >= each), _SPANS_NS[-1])
    ran, waited = watched.longest(frame.now_ns, span, room)
    ends = f"{duration(span)} ago"
    return [
        labelled("waited", *(Piece(_glyph(ns), "bar.scheduled") for ns in waited.tolist())),
        labelled("ran", *(Piece(_glyph(ns), _role(frame, ns)) for ns in ran.tolist())),
        labelled("", Piece(f"{ends:<{room - 3}}now", "faint")),
    ]


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


def _role(frame: Frame, ns: int) -> str:
    return "bad" if ns > frame.threshold_ns else "bar.busy"
