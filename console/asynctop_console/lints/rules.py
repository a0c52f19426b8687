"""A lint as the user has set it: its thresholds, whether it is off, and whom it is silent about."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple, get_type_hints

from asynctop_console.lints.finding import Finding, Lint
from asynctop_console.lints.numbering import Numbering
from asynctop_console.model import Model


@dataclass(frozen=True)
class Rule:
    """A lint in force, or not."""

    lint: Lint
    off: bool = False
    silence: tuple[str, ...] = ()
    """Patterns, as in fnmatch, of kinds and names (of tasks, loops, resources) it is not to speak of."""

    def check(self, model: Model) -> Iterator[Finding]:
        """What the lint finds and the user wants to hear."""
        if self.off:
            return
        for finding in self.lint.check(model):
            if not (self.silence and self._silenced(model, finding)):
                yield finding

    def _silenced(self, model: Model, finding: Finding) -> bool:
        names = {finding.subject_name}
        row = model.tasks.row(finding.subject_id) if finding.subject_type == "task" else None
        if row is not None:
            names |= {model.tasks.name(row), model.kinds.label(int(model.tasks.kind[row]))}
        return any(fnmatchcase(name, pattern) for name in names for pattern in self.silence)


@dataclass(frozen=True)
class LastingRule(Rule):
    """A rule that tells also what it has found before, at one of several looks."""

    seen: dict[int, Finding] = field(default_factory=dict)
    numbering: Numbering = field(default_factory=Numbering)

    def check(self, model: Model) -> Iterator[Finding]:
        """What was found at this look, and at those before."""
        self.seen.update(self.numbering.numbered(super().check(model)))
        yield from self.seen.values()


def lasting(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The same rules; where one look is proof enough, what they find is remembered."""
    return tuple(
        LastingRule(rule.lint, rule.off, rule.silence) if rule.lint.seen_once else rule for rule in rules
    )


class Threshold(NamedTuple):
    """A number that a lint judges by."""

    name: str
    type: type
    """`int` or `float`."""
    value: float
    default: float
    meaning: str
    """With its unit."""


def thresholds(lint: Lint) -> list[Threshold]:
    """Those of a lint: its fields, read from their annotations."""
    hints = get_type_hints(type(lint), include_extras=True)
    return [
        Threshold(
            field.name,
            hints[field.name].__origin__,
            getattr(lint, field.name),
            getattr(type(lint), field.name),
            hints[field.name].__metadata__[0],
        )
        for field in dataclasses.fields(lint)
    ]
