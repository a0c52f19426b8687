"""Incidents one by one: when, where, what, with the whole text and stack.

A page of all of them, and the lines for the pages of what they happened to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import BindingType

from asynctop_console.lints import Finding
from asynctop_console.views.cells import ago
from asynctop_console.views.frame import Frame
from asynctop_console.views.keys import bindings
from asynctop_console.views.line import Piece
from asynctop_console.views.lines import TextLine
from asynctop_console.views.links import task_pieces
from asynctop_console.views.page import Page, heading, labelled, paragraph, stack_lines
from asynctop_protocol.messages import Incident

_MOST = 10
"""Incidents on the page of something else."""


class IncidentsPage(Page):
    """All incidents, newest first; Enter goes to the task."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("detail")]

    def lines(self, frame: Frame) -> list[TextLine]:
        """The incidents."""
        incidents, width = frame.model.incidents, self.app.size.width
        if not incidents:
            said = "No incidents: nothing was noticed so far of what is a mistake whenever it happens."
            return [TextLine(), *paragraph(said, width, "muted")]
        title = f" Incidents: {len(incidents):,} place{'' if len(incidents) == 1 else 's'}, newest first"
        lines = [TextLine((Piece(title, "strong"),))]
        for incident in sorted(incidents, key=lambda each: -each.at_ns):
            lines += _incident(frame, incident, width)
        return lines


def incident_lines(frame: Frame, incidents: Iterable[Incident], width: int) -> list[TextLine]:
    """Those of something, newest first; none where there are none."""
    found = sorted(incidents, key=lambda each: -each.at_ns)
    lines = heading(f"Incidents: {len(found):,}") if found else []
    for incident in found[:_MOST]:
        lines += _incident(frame, incident, width)
    return lines


def of_finding(frame: Frame, finding: Finding) -> list[Incident]:
    """The incidents that a finding is made of."""
    return [
        incident
        for incident in frame.model.incidents
        if incident.type == finding.lint
        and (finding.place in incident.stack or incident.task in finding.tasks)
    ]


def _incident(frame: Frame, incident: Incident, width: int) -> list[TextLine]:
    last = ago(max(frame.now_ns - incident.at_ns, 0))
    when = f"{incident.count:,} times, last {last}" if incident.count > 1 else last
    lines = [
        TextLine(),
        TextLine(
            (
                Piece(f"  {incident.type}", "kind"),
                Piece(f"  {when}", "muted"),
                Piece(f"  {incident.name}", "name"),
            )
        ),
    ]
    if incident.text:
        lines += paragraph(incident.text, width)
    if incident.task:
        lines.append(labelled("task", *task_pieces(frame, incident.task), goal=incident.task))
    loop = frame.model.loop(incident.loop) if incident.loop and len(frame.model.loops) > 1 else None
    if loop is not None:
        lines.append(labelled("loop", Piece(f"{loop.id} in thread {loop.thread}")))
    return lines + stack_lines(incident.stack, width)
