"""The lints at work beside the screens: they look at the whole model, now and then."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import monotonic_ns

from asynctop_console.lints import Finding, Rule, check_all
from asynctop_console.model import Model
from asynctop_console.views.aside import Looks

_PERIOD_NS = 1_000_000_000
"""They look no more often than this, and"""
_SHARE = 10
"""take no more than this part of the time."""


class Judge:
    """Knows what the lints said last."""

    def __init__(self, rules: tuple[Rule, ...], looks: Looks, clock_ns: Callable[[], int]) -> None:
        """`clock_ns` is any steady clock."""
        self.rules = rules
        self.findings: list[Finding] = []
        """Worst first."""
        self._looks = looks
        self._clock_ns = clock_ns
        self._due_ns = 0
        self._looking = False
        self._model: Model | None = None
        """What was looked at last."""

    def forget(self) -> None:
        """What was said is about another model, and so is what is being looked for."""
        self.findings, self._due_ns = [], 0
        self._model = None

    def keep_up(self, model: Model) -> None:
        """Have the lints look, if it is time to."""
        if model.ticks and self._clock_ns() >= self._due_ns and not self._looking:
            self._looking, self._model = True, model
            self._looks.look(model.tasks.rows, partial(self._look, model), partial(self._found, model))

    def _look(self, model: Model) -> tuple[list[Finding], int]:
        began = monotonic_ns()
        return check_all(model, self.rules), monotonic_ns() - began

    def _found(self, model: Model, found: tuple[list[Finding], int]) -> None:
        self._looking = False
        if model is self._model:
            self.findings, took_ns = found
            self._due_ns = self._clock_ns() + max(_PERIOD_NS, _SHARE * took_ns)
