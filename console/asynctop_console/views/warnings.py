"""Screen 6: what the lints say, in sentences."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from textual.binding import BindingType

from asynctop_console.lints import Finding, Severity
from asynctop_console.lints.numbering import Numbering
from asynctop_console.snapshot import Json, lint_json
from asynctop_console.views.columns import Cell, Column
from asynctop_console.views.editor import Place
from asynctop_console.views.filter import Choice, Coded, Fields, Text, one_each
from asynctop_console.views.finding import ROLES
from asynctop_console.views.frame import Frame
from asynctop_console.views.inspection import ALL
from asynctop_console.views.keys import bindings
from asynctop_console.views.list import ListRows, ListScreen, column
from asynctop_console.views.order import Ids


class FindingRows(ListRows[tuple[int, Finding]]):
    """Findings as rows: (id, finding)."""

    def __init__(self) -> None:
        super().__init__()
        self._numbering = Numbering()
        self._of: list[Finding] | None = None
        self._findings: list[tuple[int, Finding]] = []

    def findings(self, frame: Frame) -> list[tuple[int, Finding]]:
        """All of them, by ascending id: one that goes on keeps its own."""
        if self._of is not frame.findings:
            self._of = frame.findings
            self._findings = sorted(self._numbering.numbered(frame.findings).items())
        return self._findings

    def ids(self, frame: Frame) -> Ids:
        """Their numbers."""
        return column(id for id, _ in self.findings(frame))

    def look(self, frame: Frame, rows: NDArray[np.intp]) -> list[tuple[int, Finding]]:
        """These findings."""
        found = self.findings(frame)
        return [found[row] for row in rows.tolist()]

    def ground(self, record: tuple[int, Finding]) -> str:
        """All alike."""
        return "ground"


class Warnings(ListScreen[tuple[int, Finding]]):
    """The list of findings."""

    KEYS_OF = "warnings"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("warnings")]

    rows: FindingRows

    def __init__(self) -> None:
        rows = FindingRows()
        severities = list(Severity)

        def texts(frame: Frame, name: str) -> Coded:
            return one_each([str(getattr(finding, name)) for _, finding in rows.findings(frame)])

        fields: Fields = {
            "message": Text(lambda f: texts(f, "message")),
            "lint": Text(lambda f: texts(f, "lint")),
            "severity": Choice(lambda f: texts(f, "severity"), tuple(severities)),
        }
        columns: tuple[Column[tuple[int, Finding]], ...] = (
            Column(
                "severity",
                "severity",
                9,
                lambda r: Cell(*ROLES[r[1].severity]),
                lambda f: column(severities.index(finding.severity) for _, finding in rows.findings(f)),
            ),
            Column(
                "lint",
                "lint",
                24,
                lambda r: Cell(r[1].lint, "kind"),
                lambda f: texts(f, "lint").ranks(),
                leaves=2,
            ),
            Column("message", "what is wrong, and where", 40, lambda r: Cell(r[1].message, "text"), grow=1),
        )
        super().__init__(columns, rows, "severity", fields)

    def inspected(self) -> tuple[int, ...]:
        """Many lints look at what all tasks wait for."""
        return ALL

    def total(self, frame: Frame) -> tuple[int, str]:
        """How many there are, and what they are called."""
        return len(self.rows.findings(frame)), "warnings"

    def empty(self, frame: Frame) -> str:
        """What to say where nothing is wrong."""
        return "No warnings: nothing looks wrong so far."

    def open_row(self, id: int) -> None:
        """The whole sentence, and the tasks it is about."""
        for number, finding in self.rows.findings(self.console.frame()):
            if number == id:
                self.console.show_finding(finding)

    def action_incidents(self) -> None:
        """All incidents, one by one."""
        self.console.show_incidents()

    def name_of(self, frame: Frame, id: int) -> str:
        """The sentence."""
        finding = self._finding(frame, id)
        return finding.message if finding else ""

    def place_of(self, frame: Frame, id: int) -> Place | None:
        """The guilty line."""
        finding = self._finding(frame, id)
        return finding.place[1:] if finding and finding.place else None

    def json_of(self, frame: Frame, id: int) -> Json | None:
        """The finding."""
        finding = self._finding(frame, id)
        return lint_json(finding) if finding else None

    def _finding(self, frame: Frame, id: int) -> Finding | None:
        return next((finding for number, finding in self.rows.findings(frame) if number == id), None)
