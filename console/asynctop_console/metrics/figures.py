"""What is told to collectors: one table of metrics, whoever collects them.

How many series there are is bounded by the program's loops, by how many kinds are wanted, and by our own
lints and causes; never by its tasks. Names are OpenTelemetry's, with dots and a unit; those for Prometheus
follow from them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from asynctop_console.export.finished import FinishedStalls
from asynctop_console.lints import Rule, check_all
from asynctop_console.model import Ints, Loop, Model
from asynctop_protocol.messages import LoopState, State

Labels: TypeAlias = tuple[str, ...]
Series: TypeAlias = Iterable[tuple[Labels, float]]
Figures: TypeAlias = Mapping[str, Mapping[Labels, float]]
"""By the name of the metric."""

_S = 1e9
"""Nanoseconds in a second: collectors count in seconds."""


class Seen:
    """What has been seen of a program, as of the last `see`."""

    def __init__(self, model: Model, rules: tuple[Rule, ...], most_kinds: int) -> None:
        self.model = model
        self.kinds: list[int] = []
        """The busiest ones so far."""
        self.busy_ns: Ints = model.kinds.busy_ns
        self.max_poll_ns: Ints = model.kinds.max_poll_ns
        """Of each kind, by its number; the polls that are running included."""
        self.stalls: Counter[Labels] = Counter()
        self.stalled_ns: Counter[Labels] = Counter()
        """By cause."""
        self.warnings: Counter[Labels] = Counter()
        """By lint and severity."""
        self._finished = FinishedStalls()
        self._rules = rules
        self._most_kinds = most_kinds

    def see(self) -> Figures:
        """Take in what has changed in the model. Returns all figures, which stay as they are."""
        kinds, tasks, now = self.model.kinds, self.model.tasks, self.model.now_ns
        # Once for all kinds: it takes a look at every task.
        self.busy_ns, self.max_poll_ns = kinds.busy_at(now, tasks), kinds.max_poll_at(now, tasks)
        busiest = np.argsort(-self.busy_ns, kind="stable")[: self._most_kinds].tolist()
        self.kinds = [kind for kind in busiest if kinds.spawned[kind]]
        for stall in self._finished.take(self.model):
            labels = (stall.cause.name.lower(),)
            self.stalls[labels] += 1
            self.stalled_ns[labels] += stall.duration_ns
        # A rule that has nothing to say now says so, too: an alert is to end.
        self.warnings = Counter({(rule.lint.name, str(rule.lint.severity)): 0 for rule in self._rules})
        for finding in check_all(self.model, self._rules):
            self.warnings[finding.lint, str(finding.severity)] += 1
        figures: dict[str, dict[Labels, float]] = {}
        for metric in METRICS:
            series = figures[metric.name] = {}
            for each, value in metric.series(self):
                series.setdefault(each, float(value))  # what a hostile program tells twice counts once
        return figures


@dataclass(frozen=True)
class Metric:
    """One metric."""

    name: str
    unit: str
    """As in UCUM: "s", "1", or what is counted, in braces."""
    meaning: str
    labels: Labels
    series: Callable[[Seen], Series]
    counter: bool = False
    """Whether it is a sum that only grows, as long as the program lives."""


_LOOP = ("loop", "thread")
_KIND = ("kind", "defined_at", "spawned_at")
_STALL = ("cause",)


def _of_loops(value: Callable[[Model, Loop], float]) -> Callable[[Seen], Series]:
    def series(seen: Seen) -> Series:
        for loop in seen.model.loops:
            # Some programs make a loop for every call.
            if loop.state != LoopState.CLOSED:
                yield (str(loop.id), loop.thread), value(seen.model, loop)

    return series


def _lag_ns(model: Model, loop: Loop) -> int:
    loops = (each for sample in model.meters.samples for each in sample.loops)
    return max((each.max_lag_ns for each in loops if each.id == loop.id), default=0)


def _of_kinds(value: Callable[[Seen, int], float]) -> Callable[[Seen], Series]:
    def series(seen: Seen) -> Series:
        kinds = seen.model.kinds
        for kind in seen.kinds:
            labels = kinds.label(kind), kinds.defined_at(kind) or "", kinds.spawned_at(kind) or ""
            yield labels, value(seen, kind)

    return series


def _tasks(seen: Seen) -> Series:
    counts = seen.model.tasks.counts()
    for state in (State.IDLE, State.SCHEDULED, State.POLLING):
        yield (state.name.lower(),), counts[state]


def _counted(counts: Callable[[Seen], Mapping[Labels, float]]) -> Callable[[Seen], Series]:
    return lambda seen: counts(seen).items()


METRICS = (
    Metric("asynctop.tasks", "{task}", "Tasks that live.", ("state",), _tasks),
    Metric(
        "asynctop.loop.busy",
        "s",
        "Time in polls and callbacks.",
        _LOOP,
        _of_loops(lambda model, loop: loop.busy_at(model.now_ns) / _S),
        counter=True,
    ),
    Metric(
        "asynctop.loop.polls",
        "{poll}",
        "Polls.",
        _LOOP,
        _of_loops(lambda model, loop: loop.polls),
        counter=True,
    ),
    Metric(
        "asynctop.loop.callbacks",
        "{callback}",
        "Callbacks.",
        _LOOP,
        _of_loops(lambda model, loop: loop.callbacks),
        counter=True,
    ),
    Metric(
        "asynctop.loop.lag",
        "s",
        "Longest that a woken task waited for its poll, in the last minute.",
        _LOOP,
        _of_loops(lambda model, loop: _lag_ns(model, loop) / _S),
    ),
    Metric(
        "asynctop.loop.stalled",
        "1",
        "1 while a poll or callback holds the loop up.",
        _LOOP,
        _of_loops(lambda model, loop: loop.state == LoopState.STALLED),
    ),
    Metric(
        "asynctop.kind.tasks",
        "{task}",
        "Tasks of a kind that live; this and all others of kinds are of the busiest ones.",
        _KIND,
        _of_kinds(lambda seen, kind: seen.model.kinds.live[kind]),
    ),
    Metric(
        "asynctop.kind.spawned",
        "{task}",
        "Tasks of a kind spawned so far.",
        _KIND,
        _of_kinds(lambda seen, kind: seen.model.kinds.spawned[kind]),
        counter=True,
    ),
    Metric(
        "asynctop.kind.raised",
        "{task}",
        "Tasks of a kind that ended with an exception.",
        _KIND,
        _of_kinds(lambda seen, kind: seen.model.kinds.raised[kind]),
        counter=True,
    ),
    Metric(
        "asynctop.kind.polls",
        "{poll}",
        "Polls of a kind.",
        _KIND,
        _of_kinds(lambda seen, kind: seen.model.kinds.polls[kind]),
        counter=True,
    ),
    Metric(
        "asynctop.kind.busy",
        "s",
        "Time in polls of a kind.",
        _KIND,
        _of_kinds(lambda seen, kind: seen.busy_ns[kind] / _S),
        counter=True,
    ),
    Metric(
        "asynctop.kind.scheduled",
        "s",
        "Time that tasks of a kind were woken, but not yet polled.",
        _KIND,
        _of_kinds(lambda seen, kind: seen.model.kinds.scheduled_ns[kind] / _S),
        counter=True,
    ),
    Metric(
        "asynctop.kind.poll.p99",
        "s",
        "99 of 100 polls of a kind, of all so far, took no longer.",
        _KIND,
        _of_kinds(lambda seen, kind: (seen.model.kinds.quantile_ns(kind, 0.99) or 0) / _S),
    ),
    Metric(
        "asynctop.kind.poll.max",
        "s",
        "Longest poll of a kind so far.",
        _KIND,
        _of_kinds(lambda seen, kind: seen.max_poll_ns[kind] / _S),
    ),
    Metric("asynctop.stalls", "{stall}", "Stalls.", _STALL, _counted(lambda seen: seen.stalls), counter=True),
    Metric(
        "asynctop.stall.time",
        "s",
        "Time that loops were held up.",
        _STALL,
        _counted(lambda seen: {cause: ns / _S for cause, ns in seen.stalled_ns.items()}),
        counter=True,
    ),
    Metric(
        "asynctop.warnings",
        "{warning}",
        "What the lints find wrong now.",
        ("lint", "severity"),
        _counted(lambda seen: seen.warnings),
    ),
    Metric(
        "asynctop.dropped",
        "{event}",
        "What was lost on its way from the program.",
        ("what",),
        _counted(lambda seen: {(name,): count for name, count in seen.model.dropped.items()}),
        counter=True,
    ),
)
