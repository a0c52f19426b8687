"""From a task to others: what it waits for and who holds that, whom it awaits, who awaits it, what it holds.

Every line leads where it says: `Page.follow` knows the goals.
"""

from __future__ import annotations

from collections.abc import Sequence

from asynctop_console.model import users_frame
from asynctop_console.model.places import short
from asynctop_console.views.cells import age_text, fit
from asynctop_console.views.frame import Frame
from asynctop_console.views.line import Piece
from asynctop_console.views.lines import TextLine
from asynctop_console.views.page import LABEL, ToResource, labelled
from asynctop_protocol.messages import Holding, State, Waiting

MOST_SHOWN = 10
"""Tasks listed under one label of a task's page; the tree shows them all."""

_NAME = 24


def task_pieces(frame: Frame, id: int) -> tuple[Piece, ...]:
    """A task in a line: its name and its kind."""
    tasks = frame.model.tasks
    row = tasks.row(id)
    if row is None:
        return (Piece(f"task {id} ", "muted"), Piece("(no longer known)", "faint"))
    kind = frame.model.kinds.label(int(tasks.kind[row]))
    return (Piece(f"{tasks.name(row) or f'task {id}'} ", "name"), Piece(kind, "kind"))


def waiting_text(waiting: Waiting | None) -> str:
    """What a task waits for, "asyncio.Lock, in acquire()" or "executor reports of 2 threads"."""
    if waiting is None:
        return ""
    return named(waiting.type, waiting.description)


def named(type_: str, description: str) -> str:
    """The description, with the type in front where that does not show from it."""
    return description if type_.replace(" ", "") in description.lower() else f"{type_} {description}".rstrip()


def attributes_text(attributes: dict[str, int]) -> str:
    """ "size=3 maxsize=10"."""
    return " ".join(f"{name}={number}" for name, number in attributes.items())


def idle_ns(frame: Frame, id: int) -> int:
    """For how long a task has been waiting by now, 0 where it is not."""
    tasks = frame.model.tasks
    row = tasks.row(id)
    if row is None or tasks.state[row] != State.IDLE:
        return 0
    return max(frame.now_ns - int(tasks.since_ns[row]), 0)


def line_of(frame: Frame, id: int, width: int, upto: int | None = None) -> str:
    """The user's innermost line that a task is suspended at, "?" where it is not known; `upto` looks at so
    many of the outermost frames only."""
    chain = frame.model.chains.get(id)
    place = users_frame(chain.frames[:upto]) if chain else None
    return short(place[1], place[2], width) if place else "?"


def waiting_line(frame: Frame, id: int, width: int, label: str = "", upto: int | None = None) -> TextLine:
    """A task, for how long it has been waiting, and where (see `line_of`); leads to the task."""
    tasks = frame.model.tasks
    row = tasks.row(id)
    if row is None:
        return labelled(label, *task_pieces(frame, id), goal=id)
    idle = idle_ns(frame, id)
    return labelled(
        label,
        Piece(fit(tasks.name(row) or f"task {id}", _NAME) + " ", "name"),
        Piece(f"{age_text(idle) if idle else '-':>7}  ", "text" if idle else "faint"),
        Piece(line_of(frame, id, max(width - LABEL - _NAME - 14, 20), upto), "place"),
        goal=id,
    )


def waiting_lines(
    frame: Frame, ids: Sequence[int], width: int, label: str = "", most: int = MOST_SHOWN
) -> list[TextLine]:
    """The same for several tasks, those first that have been waiting longest."""
    longest = sorted(ids, key=lambda id: -idle_ns(frame, id))
    lines = [
        waiting_line(frame, id, width, "" if index else label) for index, id in enumerate(longest[:most])
    ]
    if len(ids) > most:
        lines.append(labelled("", Piece(f"and {len(ids) - most:,} more", "muted")))
    return lines


def links(frame: Frame, task: int, width: int) -> list[TextLine]:
    """Where one can go from a task by what it waits for and what it holds."""
    chain, waits = frame.model.chains.get(task), frame.model.waits
    lines: list[TextLine] = []
    if chain is not None and chain.waiting_on is not None:
        lines += _waiting_on(frame, chain.waiting_on, width)
    awaited = list(dict.fromkeys(chain.awaits)) if chain is not None else []
    if chain is not None and (chain.waiting_on is None or awaited != [chain.waiting_on.id]):
        lines += waiting_lines(frame, awaited, width, "one of" if chain.any_of else "awaits")
    lines += waiting_lines(frame, waits.awaited_by.get(task, ()), width, "awaited by")
    for index, held in enumerate(chain.holds if chain is not None else ()):
        lines.append(_holding(frame, task, held, width, "" if index else "holds"))
    return lines


def _waiting_on(frame: Frame, waiting: Waiting, width: int) -> list[TextLine]:
    resource = frame.model.waits.resources.get(waiting.id)
    goal = waiting.id if waiting.type == "task" else ToResource(waiting.id) if resource is not None else None
    lines = [
        labelled(
            "waiting on",
            Piece(f"{waiting.type} ", "accent"),
            Piece(waiting.description),
            Piece(f"  {attributes_text(waiting.attributes)}", "muted"),
            goal=goal,
        )
    ]
    holders = resource.holders if resource is not None else []
    if waiting.holder and waiting.holder not in holders:
        holders = [waiting.holder, *holders]
    return lines + waiting_lines(frame, holders, width, "held by")


def _holding(frame: Frame, task: int, held: Holding, width: int, label: str) -> TextLine:
    resource = frame.model.waits.resources.get(held.id)
    waiters = len(resource.waiters) if resource is not None else 0
    what = f"{held.type} {held.description}"
    wait = f"  {waiters:,} wait{'' if waiters != 1 else 's'}" if waiters else ""
    room = max(width - LABEL - len(what) - len(wait) - 9, 20)
    return labelled(
        label,
        Piece(f"{held.type} ", "accent"),
        Piece(held.description),
        Piece(f"  at {line_of(frame, task, room, held.frame + 1)}", "place"),
        Piece(wait, "warn"),
        goal=ToResource(held.id) if resource is not None else None,
    )
