"""What a lint says, and the lint's own form."""

from __future__ import annotations

import enum
import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from asynctop_console.model import Frame, Model, places

MS = 1_000_000
"""Nanoseconds in a millisecond: thresholds are in these, the model's times in those."""


class Severity(enum.StrEnum):
    """How bad it is; in this order, worst first."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, in one sentence."""

    lint: str
    severity: Severity
    subject_type: str
    """"task", "kind", "loop" or "resource": what `subject_id` numbers."""
    subject_id: int
    subject_name: str
    message: str
    tasks: frozenset[int] = field(default=frozenset())
    """Ids of the tasks that trip the lint."""
    place: Frame | None = None
    """(function, file, line) of the user's code that is to be mended, where it is known."""


@dataclass(frozen=True)
class Lint(ABC):
    """A rule. Its docstring is the sentence that says what the rule is about, and, in paragraphs below, what
    that means and what to do; its fields are its thresholds, each annotated with its meaning and unit,
    so that a user can set them."""

    name: ClassVar[str]
    severity: ClassVar[Severity]
    seen_once: ClassVar[bool] = False
    """Whether it is true if it is seen at one look, though it may be over at the next."""

    @property
    def summary(self) -> str:
        """What the rule is about, in one sentence."""
        return " ".join(str(self.__doc__).partition("\n\n")[0].split())

    @property
    def explanation(self) -> str:
        """What it means and what to do, in Markdown; "" where nobody has written it down."""
        return inspect.cleandoc(str(self.__doc__).partition("\n\n")[2])

    @abstractmethod
    def check(self, model: Model) -> Iterable[Finding]:
        """All that is wrong now. Called once a second, so it must be quick with a million tasks."""

    def about_task(
        self,
        model: Model,
        task: int,
        message: str,
        *,
        place: Frame | None = None,
        others: Iterable[int] = (),
    ) -> Finding:
        """A finding with this task as its subject; `others` trip the lint too."""
        name = model.task_name(task)
        return Finding(
            self.name, self.severity, "task", task, name, message, frozenset({task, *others}), place
        )

    def about_kind(
        self, model: Model, kind: int, message: str, tasks: Iterable[int] = (), *, place: Frame | None = None
    ) -> Finding:
        """A finding with this kind as its subject."""
        label = model.kinds.label(kind)
        return Finding(self.name, self.severity, "kind", kind, label, message, frozenset(tasks), place)


def at(place: Frame | None) -> str:
    """ " in load() at app/web.py:44", "" where the place is not known: a part of a sentence."""
    return f" in {place[0]}() at {places.short(place[1], place[2], width=60)}" if place else ""
