"""The details of a task, and of the stalls of a place."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import ClassVar

import numpy as np
from textual.binding import BindingType

from asynctop_console.model import WatchedTask
from asynctop_console.model.places import is_users, short, users_frame
from asynctop_console.model.stalls import place_of, tree
from asynctop_console.model.times import duration
from asynctop_console.views.cancelled import cancellation_lines
from asynctop_console.views.cells import age_text, ago, fit
from asynctop_console.views.editor import Place
from asynctop_console.views.frame import Frame, culprit
from asynctop_console.views.history import HEADING, Timeline, history_lines, times_lines, waker_lines
from asynctop_console.views.incidents import incident_lines
from asynctop_console.views.keys import bindings
from asynctop_console.views.kind import histogram_lines
from asynctop_console.views.line import Piece
from asynctop_console.views.lines import TextLine
from asynctop_console.views.links import links, task_pieces
from asynctop_console.views.page import UNSEEN, Page, heading, labelled, paragraph, placed, stack_lines
from asynctop_console.views.status import CAUSES
from asynctop_console.views.tasks import STATES, TaskRecord, TaskRows, task_place, waker_text
from asynctop_protocol.messages import Stall

_MOST_STALLS = 5
_CALLED = 40
"""Cells for the functions of a tree of stacks."""
_MOST_WAKERS = 6
"""Links of the chain of wakers."""


class Detail(Page):
    """Everything about one task, and where one can go from it. While it is open the task is watched."""

    KEYS_OF = "task"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("task")]

    def __init__(self, task: int) -> None:
        super().__init__()
        self.about = task
        self._rows = TaskRows()
        self._timeline = Timeline()

    def on_mount(self) -> None:
        """Watch it from now on."""
        self.console.watch_task(self.about)

    def on_unmount(self) -> None:
        """Watch it no more."""
        self.console.leave_task(self.about)

    def inspected(self) -> tuple[int, ...] | None:
        """This task, while it lives."""
        tasks = self.console.model.tasks
        row = tasks.row(self.about)
        return None if row is None or tasks.ended_ns[row] else (self.about,)

    def copied(self, frame: Frame) -> str:
        """The task's name."""
        row = frame.model.tasks.row(self.about)
        return "" if row is None else frame.model.tasks.name(row)

    def place(self, frame: Frame) -> Place | None:
        """See `task_place`."""
        return task_place(frame, self.about)

    def lines(self, frame: Frame) -> list[TextLine]:
        """All about the task."""
        row = frame.model.tasks.row(self.about)
        if row is None:
            return self.gone(f"Task {self.about} is no longer known.")
        (record,) = self._rows.look(frame, np.array([row]))
        width, height = self.app.size
        watched = frame.model.watched.get(self.about)
        found = frame.about(self.about)
        lines = [*_identity(frame, row, record, width)]
        if found:
            lines += heading("Warnings")
            for finding in found:
                lines += paragraph(f"! {finding.message}", width, "warn")
        lines += self._chain(frame, record, width)
        lines += cancellation_lines(frame, self.about, width)
        lines += _times(record, width)
        lines += history_lines(frame, self.about, self._timeline, width, height)
        lines += times_lines(watched, width) if watched else []
        lines += _wakers(frame, row)
        lines += waker_lines(frame, watched) if watched else []
        lines += histogram_lines(frame, int(frame.model.tasks.kind[row]), width)
        lines += incident_lines(
            frame, (each for each in frame.model.incidents if each.task == self.about), width
        )
        stalls = [stall for stall in frame.stalls if stall.task == self.about]
        if stalls:
            lines += heading(f"Stalls of this task: {len(stalls)}")
            for stall in reversed(stalls[-_MOST_STALLS:]):
                lines += _stall(frame, stall, width)
        return lines

    def action_zoom(self, step: int) -> None:
        """Show more of the time in which it was polled (1), or less (-1)."""
        self._look(self._timeline.zoom, step)

    def action_poll(self, step: int) -> None:
        """To the poll after (1) or before (-1)."""
        self._look(self._timeline.move, step)

    def action_pan(self, step: int) -> None:
        """Along the time axis by half of it."""
        self._look(self._timeline.pan, step)

    def _look(self, move: Callable[[Frame, WatchedTask, int], None], step: int) -> None:
        """Do so, and show it."""
        frame = self.console.frame()
        watched = frame.model.watched.get(self.about)
        if watched is not None:
            move(frame, watched, step)
            self.repaint()
            self.page.reveal(HEADING)

    def _chain(self, frame: Frame, record: TaskRecord, width: int) -> list[TextLine]:
        lines = heading("Await chain")
        chain = frame.model.chains.get(self.about)
        if record.done:
            return [*lines, *paragraph("It has ended, so it waits for nothing.", width, "muted")]
        if chain is None:
            return [*lines, *paragraph(frame.unread, width, "muted")]
        lines += stack_lines(chain.frames, width) or paragraph("not suspended anywhere", width, "muted")
        return lines + links(frame, self.about, width)


def _identity(frame: Frame, row: int, record: TaskRecord, width: int) -> list[TextLine]:
    model = frame.model
    tasks, kinds = model.tasks, model.kinds
    kind, parent = int(tasks.kind[row]), int(tasks.parent[row])
    loop = model.loop(int(tasks.loop[row]))
    glyph, role = STATES[record.state]
    since = Piece(f" for {age_text(max(frame.now_ns - int(tasks.since_ns[row]), 0))}", "muted")
    state: tuple[Piece, ...] = (Piece(f"{glyph} {record.state}", role), since)
    if record.blocked_ns:
        blocked = f" █ BLOCKING {duration(record.blocked_ns)}  {record.culprit} "
        state = (Piece(blocked, ground="alert"),)
    elif record.done:
        ended = max(frame.now_ns - int(tasks.ended_ns[row]), 0)
        state = (Piece(f"{glyph} {record.state}", role), Piece(f" {ago(ended)}", "muted"))
    lines = [
        TextLine((Piece(f" {record.name}", "strong"), Piece(f"  task {record.id}", "muted"))),
        labelled("state", *state),
        labelled("kind", Piece(record.kind, "kind")),
        placed("defined at", kinds.defined_at(kind), "not known", width),
        placed("spawned at", kinds.spawned_at(kind), UNSEEN, width),
    ]
    if parent:
        lines.append(labelled("spawned by", *task_pieces(frame, parent), goal=parent))
    else:
        lines.append(labelled("spawned by", Piece("no task", "muted")))
    if loop is not None and len(model.loops) > 1:
        lines.append(labelled("loop", Piece(f"{loop.id} in thread {loop.thread}")))
    exception = model.text(int(tasks.exception[row]))
    if exception:
        lines.append(labelled("exception", Piece(exception, "bad")))
    return lines


def _times(record: TaskRecord, width: int) -> list[TextLine]:
    parts = (
        ("busy", record.busy_ns, "bar.busy", "█"),
        ("scheduled", record.scheduled_ns, "bar.scheduled", "▓"),
        ("idle", record.idle_ns, "bar.idle", "░"),
    )
    whole = max(sum(ns for _, ns, _, _ in parts), 1)
    room = max(min(width - 20, 60), 10)
    cells = [round(room * ns / whole) or (1 if ns else 0) for _, ns, _, _ in parts]
    cells[cells.index(max(cells))] += room - sum(cells)
    bar = [Piece(glyph * size, role) for (_, _, role, glyph), size in zip(parts, cells, strict=True)]
    legend = [
        (Piece(f"{glyph} ", role), Piece(f"{label} {duration(ns)} {ns / whole:.1%}   ", "text"))
        for label, ns, role, glyph in parts
    ]
    return [
        *heading("Time"),
        labelled(age_text(record.age_ns), *bar),
        labelled("", *(piece for pair in legend for piece in pair)),
        labelled(
            "polls",
            Piece(f"{record.polls:,}"),
            Piece(f"   longest {duration(record.max_ns)}", "muted"),
            Piece(f"   mean {duration(record.busy_ns // max(record.polls, 1))}", "muted"),
        ),
    ]


def _wakers(frame: Frame, row: int) -> list[TextLine]:
    tasks = frame.model.tasks
    return [
        *heading("Wakes"),
        labelled(
            "wakes",
            Piece(f"{int(tasks.wakes[row]):,}"),
            Piece(f"   by itself {int(tasks.self_wakes[row]):,}", "muted"),
        ),
        *_waker_chain(frame, row),
    ]


def _waker_chain(frame: Frame, row: int) -> list[TextLine]:
    """Who did the last wake, who that one's, and so on: up to what is no task, or has been there already."""
    tasks = frame.model.tasks
    lines: list[TextLine] = []
    seen: set[int] = set()
    at: int | None = row
    while at is not None and len(lines) < _MOST_WAKERS:
        seen.add(int(tasks.id[at]))
        waker = int(tasks.waker_task[at])
        text = waker_text(frame.model, int(tasks.waker_source[at]), waker, int(tasks.waker_name[at]))
        again = waker in seen
        pieces = [Piece(text or ("none yet" if not lines else "not seen"))]
        if lines:
            pieces.insert(0, Piece(f"{'  ' * (len(lines) - 1)}which was last woken by ", "muted"))
        if again:
            pieces.append(Piece("  in a circle" if waker != tasks.id[at] else "  by itself", "muted"))
        lines.append(labelled("" if lines else "last waker", *pieces, goal=waker or None))
        at = tasks.row(waker) if waker and not again else None
    return lines


def _stall(frame: Frame, stall: Stall, width: int) -> list[TextLine]:
    lasted = frame.lasted_ns(stall)
    over = max(frame.now_ns - stall.started_ns - lasted, 0)
    when = Piece(" goes on ", ground="alert") if stall.ongoing else Piece(ago(over), "muted")
    lines = [
        TextLine(),
        TextLine(
            (
                Piece(f"  {duration(lasted)}  ", "bad"),
                when,
                Piece(f"  {CAUSES[stall.cause]}  ", "warn"),
                Piece(culprit(stall) or "nobody could look while it ran", "text"),
                Piece(f"  in {stall.callee}()" if stall.callee else "", "name"),
                Piece(f"  ({stall.samples} samples)", "faint"),
            )
        ),
    ]
    return lines + (_tree(stall, width) if len(stall.parts) > 1 else stack_lines(stall.stack, width))


def _tree(stall: Stall, width: int) -> list[TextLine]:
    """Where the time went of a stall that was in several places: the share of the samples below a frame."""
    told = sum(part.samples for part in stall.parts)
    lines = []
    for depth, branch in tree(stall):
        indent = "  " * min(depth, 9)
        share = Piece(f"  {branch.samples / max(told, 1):>4.0%}  ", "bad")
        if branch.frame is None:
            lines.append(TextLine((share, Piece(f"{indent}{branch.callee}()", "name"))))
            continue
        function, file, line = branch.frame
        own = is_users(branch.frame)
        room = max(width - _CALLED - 10, 20)
        lines.append(
            TextLine(
                (
                    share,
                    Piece(fit(indent + function, _CALLED) + " ", "text" if own else "faint"),
                    Piece(short(file, line, room), "place" if own else "faint"),
                )
            )
        )
    return lines


class StallDetail(Page):
    """The stalls of one place, newest first, each with its stack; Enter goes to the task."""

    def __init__(self, place: Hashable) -> None:
        super().__init__()
        self.about = place

    def place(self, frame: Frame) -> Place | None:
        """The line of the last of them."""
        found = [users_frame(stall.stack) for stall in frame.stalls if place_of(stall) == self.about]
        return found[-1][1:] if found and found[-1] else None

    def lines(self, frame: Frame) -> list[TextLine]:
        """The stalls."""
        stalls = [stall for stall in frame.stalls if place_of(stall) == self.about]
        if not stalls:
            return self.gone("These stalls are no longer known.")
        width = self.app.size.width
        lasted = [frame.lasted_ns(stall) for stall in stalls]
        worst = stalls[lasted.index(max(lasted))]
        lines = [
            TextLine((Piece(f" {culprit(worst) or 'an unknown line'}", "strong"),)),
            labelled(
                "stalls",
                Piece(str(len(stalls))),
                Piece(f"   total {duration(sum(lasted))}", "muted"),
                Piece(f"   max {duration(max(lasted))}", "muted"),
            ),
            labelled("cause", Piece(CAUSES[worst.cause], "warn")),
        ]
        tasks = list(dict.fromkeys(stall.task for stall in reversed(stalls) if stall.task))
        for index, task in enumerate(tasks[:_MOST_STALLS]):
            # By the same name there may be many, one after the other.
            number = Piece(f"{task:>6}  ", "muted")
            lines.append(labelled("" if index else "by task", number, *task_pieces(frame, task), goal=task))
        if len(tasks) > _MOST_STALLS:
            lines.append(labelled("", Piece(f"and {len(tasks) - _MOST_STALLS:,} more", "muted")))
        which = f" of the last {_MOST_STALLS}" if len(stalls) > _MOST_STALLS else ""
        lines += heading(f"Stacks{which}, newest first")
        for stall in reversed(stalls[-_MOST_STALLS:]):
            lines += _stall(frame, stall, width)
        return lines
