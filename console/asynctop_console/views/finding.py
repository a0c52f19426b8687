"""The page of a warning: the sentence, the place, its subject and the tasks it is about."""

from __future__ import annotations

from collections.abc import Collection

from asynctop_console.lints import LINTS, Finding, Severity
from asynctop_console.lints.numbering import Numbering
from asynctop_console.model.places import full
from asynctop_console.views.cells import age_text, fit
from asynctop_console.views.editor import Place
from asynctop_console.views.frame import Frame
from asynctop_console.views.incidents import incident_lines, of_finding
from asynctop_console.views.inspection import ALL
from asynctop_console.views.line import Piece
from asynctop_console.views.lines import TextLine
from asynctop_console.views.links import MOST_SHOWN, task_pieces, waiting_lines
from asynctop_console.views.page import LABEL, Page, ToKind, ToResource, heading, labelled, paragraph
from asynctop_protocol.messages import State

ROLES = {
    Severity.ERROR: ("✗ error", "bad"),
    Severity.WARNING: ("! warning", "warn"),
    Severity.INFO: ("i info", "muted"),
}
"""How bad it is, in a sign and a word, and their role."""

_MOST_TASKS = 200


class FindingDetail(Page):
    """A warning as it is by now; where it no longer holds, as it was."""

    def __init__(self, finding: Finding) -> None:
        super().__init__()
        self.finding = finding
        self._numbering = Numbering()
        (self._number,) = self._numbering.numbered([finding])

    def inspected(self) -> tuple[int, ...]:
        """Whatever the lint looked at."""
        return ALL

    def copied(self, frame: Frame) -> str:
        """The sentence."""
        return self.finding.message

    def place(self, frame: Frame) -> Place | None:
        """The guilty line."""
        return self.finding.place[1:] if self.finding.place else None

    def lines(self, frame: Frame) -> list[TextLine]:
        """The sentence, and everything one can go to."""
        now = self._numbering.numbered(frame.findings).get(self._number)
        finding = self.finding = now or self.finding
        width = self.app.size.width
        word, role = ROLES[finding.severity]
        lines = [
            TextLine((Piece(f" {finding.lint}", "strong"), Piece(f"  {word}", role))),
            *paragraph(_summary(finding.lint), width, "muted"),
            TextLine(),
            *paragraph(finding.message, width),
        ]
        if now is None:
            lines += paragraph("It is no longer so.", width, "muted")
        lines += [TextLine(), _subject(frame, finding)]
        if finding.place is not None:
            function, file, line = finding.place
            place = fit(full(file, line) or "", max(width - LABEL - 3, 20), cut="left")
            lines.append(labelled("where", Piece(place, "place")))
            if function:
                lines.append(labelled("in", Piece(function)))
        lines += incident_lines(frame, of_finding(frame, finding), width)
        if finding.tasks:
            lines += heading(f"Tasks: {len(finding.tasks):,}")
            lines += _tasks(frame, finding.tasks, width)
        return lines


def _summary(lint: str) -> str:
    return next((each.summary for each in LINTS if each.name == lint), "")


def _tasks(frame: Frame, ids: Collection[int], width: int) -> list[TextLine]:
    """Those that live, and those that ended last."""
    tasks = frame.model.tasks
    rows = {id: row for id in sorted(ids) if (row := tasks.row(id)) is not None}
    live = [id for id, row in rows.items() if tasks.state[row] != State.DONE]
    ended = sorted(rows.keys() - live, key=lambda id: -tasks.ended_ns[rows[id]])[:MOST_SHOWN]
    lines = waiting_lines(frame, live, width, most=_MOST_TASKS)
    for id in ended:
        ago = age_text(frame.now_ns - int(tasks.ended_ns[rows[id]]))
        lines.append(labelled("", *task_pieces(frame, id), Piece(f"  ended {ago} ago", "muted"), goal=id))
    if more := len(ids) - len(live) - len(ended):
        lines.append(
            labelled("", Piece(f"and {more:,} more that {'has' if more == 1 else 'have'} ended", "muted"))
        )
    return lines


def _subject(frame: Frame, finding: Finding) -> TextLine:
    id, name = finding.subject_id, finding.subject_name
    match finding.subject_type:
        case "task":
            return labelled("task", *task_pieces(frame, id), goal=id)
        case "kind":
            # 0 is none that is known: of a coroutine that was never awaited there may be no task at all.
            return labelled("kind", Piece(name, "kind"), goal=ToKind(id) if id else None)
        case "resource":
            return labelled("resource", Piece(name), goal=ToResource(id))
        case other:
            return labelled(other, Piece(name or str(id)))
