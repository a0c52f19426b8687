"""What a lint says, and the lint's own form."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from asynctop_console.model import Model


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
    """"task", "kind" or "loop": what `subject_id` numbers."""
    subject_id: int
    subject_name: str
    message: str
    tasks: frozenset[int] = field(default=frozenset())
    """Ids of the tasks that trip the lint."""


Check: TypeAlias = "Callable[[Model], list[Finding]]"


@dataclass(frozen=True, slots=True)
class Lint:
    """A rule: `check` finds, `summary` is the sentence that says what the rule is about."""

    name: str
    severity: Severity
    summary: str
    check: Check
