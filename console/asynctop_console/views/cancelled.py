"""A task's last cancellation, for its page: who requested it, where it landed, what became of it."""

from __future__ import annotations

from asynctop_console.model.landings import place, reason
from asynctop_console.model.places import users_frame
from asynctop_console.model.times import duration
from asynctop_console.views.cells import ago
from asynctop_console.views.frame import Frame
from asynctop_console.views.line import Piece
from asynctop_console.views.lines import TextLine
from asynctop_console.views.page import LABEL, ToResource, heading, labelled
from asynctop_protocol.messages import Outcome, State

_ENDS = {
    Outcome.RETURNED: ("it returned all the same", "warn"),
    Outcome.RAISED: ("it ended with another exception", "warn"),
    Outcome.CANCELLED: ("it ended, as it was told", "text"),
    Outcome.DESTROYED: ("it was destroyed while pending", "warn"),
}


def cancellation_lines(frame: Frame, task: int, width: int) -> list[TextLine]:
    """The last cancellation of a task; none where none is known."""
    landing = frame.model.landings.of(task)
    if landing is None:
        return []
    room = max(width - LABEL - 30, 20)
    when = Piece(f"{ago(max(frame.now_ns - landing.landed_ns, 0))} ", "text") if landing.landed_ns else None
    by = reason(landing, name_of(frame, landing.by)) or "nobody knows by whom"
    late = landing.landed_ns - landing.requested_ns if landing.requested_ns else 0
    after = Piece(f"after {duration(late)}, " if late > 0 else "", "muted")
    landed = place(landing.stack, room) or "before its first step"
    inner = users_frame(landing.stack)
    function = f" in {inner[0]}()" if inner else ""
    lines = [
        *heading("Cancellation"),
        labelled("requested", *([when] if when else []), Piece(by), goal=landing.by or None),
        labelled("landed", after, Piece(landed, "place"), Piece(function, "muted")),
        labelled("since then", *_since(frame, task)),
    ]
    if landing.timeout:
        fired = Piece(f"{landing.count:,} times while it waited there")
        lines.append(labelled("it fired", fired, goal=ToResource(-landing.id)))
    return lines


def name_of(frame: Frame, task: int) -> str:
    """A task's name, its number where that is not known, "" for no task."""
    row = frame.model.tasks.row(task)
    return (frame.model.tasks.name(row) if row is not None else "") or (str(task) if task else "")


def _since(frame: Frame, task: int) -> list[Piece]:
    model = frame.model
    row, chain = model.tasks.row(task), model.chains.get(task)
    if row is not None and model.tasks.state[row] == State.DONE:
        text, role = _ENDS.get(Outcome(int(model.tasks.outcome[row])), ("it has ended", "text"))
        return [Piece(text, role)]
    if chain is None:
        return [Piece(frame.unread, "muted")]
    if not chain.cancelling:
        return [Piece("withdrawn: who requested it has called uncancel(), as timeouts do")]
    if chain.cancellation_pending:
        return [Piece("another one is on its way")]
    if chain.handles_cancellation:
        return [Piece("it cleans up, at ", "warn"), Piece(place(chain.frames), "place")]
    return [Piece("swallowed: it goes on, at ", "bad"), Piece(place(chain.frames), "place")]
