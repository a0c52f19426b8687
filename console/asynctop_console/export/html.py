"""A report of a recording as one page: what is wrong first, then curves, stalls, and what took the time.

It needs no network and runs no script. Whatever the program says is text in it: see elements.py.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from typing import TextIO

import numpy as np

from asynctop_console.clean import clean, program
from asynctop_console.export.elements import Element, add, page, table, text_of
from asynctop_console.export.finished import what
from asynctop_console.export.plot import plot
from asynctop_console.export.whole import Place, Sighting, Whole
from asynctop_console.lints import Rule
from asynctop_console.lints.finding import Severity
from asynctop_console.model import Frame, Model, duration, short
from asynctop_console.model.places import is_users
from asynctop_console.model.stalls import tree
from asynctop_console.observe import moments
from asynctop_console.source.recording import Recording
from asynctop_protocol.messages import Outcome, State

_MOST_PLACES = 30
_MOST_KINDS = 30
_MOST_TASKS = 20
_NAME = 60
"""Characters shown of a name."""


def export(recording: Recording, out: TextIO, rules: tuple[Rule, ...]) -> str:
    """Write the report. TargetError where the recording is damaged."""
    whole = Whole(recording, rules)
    for model in moments(recording):
        whole.see(model)
    whole.end(model)
    out.write(text_of(_page(model, whole)))
    return ""


def _page(model: Model, whole: Whole) -> Element:
    hello = model.hello
    name = clean(program(hello.argv), 200) if hello else "a program"
    style = files(__package__).joinpath("report.css").read_text("utf-8")
    html, body = page(f"asynctop: {name}", style)
    add(body, "h1", name)
    if hello:
        length = duration(whole.until_ns - whole.from_ns)
        begun = _utc(hello.wall_ns + whole.from_ns - hello.monotonic_ns) if hello.wall_ns else ""
        says = f"pid {hello.pid}, Python {hello.python}, {hello.runtime}, {hello.core} core"
        add(body, "p", f"{says}; observed{begun} for {length}", class_="muted")
    places = sorted(whole.places.values(), key=lambda place: -place.total_ns)
    _tiles(body, model, whole, places)
    _findings(body, whole)
    _plots(body, whole)
    _stalls(body, places)
    _loops(body, model)
    _kinds(body, model)
    _tasks(body, model)
    _losses(body, model)
    return html


def _utc(ns: int) -> str:
    try:
        return f" from {datetime.fromtimestamp(ns / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return ""  # the program's clock, or the program, is mad


def _tiles(body: Element, model: Model, whole: Whole, places: list[Place]) -> None:
    longest = max((place.longest.duration_ns for place in places), default=0)
    lag = max((value for _, value in whole.curve(lambda cell: cell.lag_ns)), default=0)
    tiles = add(body, "dl", class_="tiles")
    for title, says, bad in (
        ("warnings", f"{len(whole.findings):,}", bool(whole.findings)),
        ("stalls", f"{sum(place.count for place in places):,}", bool(places)),
        ("longest stall", duration(longest) if places else "none", bool(places)),
        ("longest wait", duration(int(lag)), False),
        ("tasks alive", f"{len(model.tasks.live()):,}", False),
        ("tasks spawned", f"{int(model.kinds.spawned.sum()):,}", False),
        ("polls", f"{sum(loop.polls for loop in model.loops):,}", False),
    ):
        tile = add(tiles, "div", class_="bad" if bad else "")
        add(tile, "dt", title)
        add(tile, "dd", says)


def _findings(body: Element, whole: Whole) -> None:
    add(body, "h2", "Warnings")
    if not whole.findings:
        add(body, "p", "No lint has found anything.")
        return
    order = list(Severity)
    worst = sorted(whole.findings.values(), key=lambda each: order.index(each.finding.severity))
    listing = add(body, "ul", class_="findings")
    for sighting in worst:
        finding = sighting.finding
        item = add(listing, "li", class_=str(finding.severity))
        add(item, "b", str(finding.severity))
        add(item, "span", finding.message)
        add(item, "p", f"{finding.lint}, {_seen(sighting, whole)}", class_="muted")


def _seen(sighting: Sighting, whole: Whole) -> str:
    from_ = (
        duration(sighting.from_ns - whole.from_ns) if sighting.from_ns > whole.from_ns else "the beginning"
    )
    end = duration(sighting.until_ns - whole.from_ns) if sighting.until_ns < whole.until_ns else "the end"
    return f"seen from {from_} to {end}"


def _plots(body: Element, whole: Whole) -> None:
    length = whole.until_ns - whole.from_ns
    bands = [
        (max(start, 0.0), min(start + place.longest.duration_ns / length, 1.0))
        for place in whole.places.values()
        if 0 <= (start := (place.longest.started_ns - whole.from_ns) / length) <= 1
    ]
    add(body, "h2", f"Over {duration(length)}")
    plots = add(body, "div", class_="plots")
    polls = whole.curve(lambda cell: cell.polls_per_s)
    most = max((value for _, value in polls), default=0)
    plot(plots, "polls a second", polls, most, f"at most {most:,.0f}", bands)
    busy = whole.curve(lambda cell: cell.busy_ratio)
    most = max((value for _, value in busy), default=0)
    plot(plots, "busiest loop", busy, 1, f"at most {most:.0%} busy", bands)
    lag = whole.curve(lambda cell: cell.lag_ns)
    most = max((value for _, value in lag), default=0)
    plot(plots, "longest wait", lag, most, f"at most {duration(int(most))}", bands)
    if bands:
        add(body, "p", "In red: the longest stall of each place.", class_="muted")


def _stalls(body: Element, places: list[Place]) -> None:
    if not places:
        return
    add(body, "h2", "Stalls")
    for place in places[:_MOST_PLACES]:
        stall = place.longest
        box = add(body, "details")
        head = add(box, "summary")
        add(head, "b", duration(place.total_ns))
        times = f"{place.count:,} times, at most {duration(stall.duration_ns)}" if place.count > 1 else "once"
        add(
            head, "span", f"{stall.cause.name.lower()}: {what(stall)}, in {clean(stall.name, _NAME)}, {times}"
        )
        branches = list(tree(stall))
        if not branches:
            add(box, "p", "Nobody could look while it lasted.")
            continue
        frames = add(box, "ol")
        for depth, branch in branches:
            share = f"{branch.samples / max(stall.samples, 1):.0%} " if depth else ""
            own = bool(branch.frame and is_users(branch.frame))
            item = add(frames, "li", share + _frame(branch.frame, branch.callee), class_="own" if own else "")
            item.set("style", f"margin-left:{depth * 1.2:.1f}em")
    _and_more(body, len(places) - _MOST_PLACES, "places")


def _frame(frame: Frame | None, callee: str) -> str:
    if frame is None:
        return f"{callee} (C)"
    function, file, line = frame
    return f"{function}() at {file}:{line}"


def _loops(body: Element, model: Model) -> None:
    add(body, "h2", "Loops")
    header = ["loop", "thread", "runtime", "state", ">busy", ">polls", ">callbacks", ">longest wait"]
    rows = []
    for loop in model.loops:
        ratio = model.meters.observed_busy_ratio(loop.id)
        busy = "-" if ratio is None else f"{ratio:.0%}"
        counts = [f"{loop.polls:,}", f"{loop.callbacks:,}", duration(loop.max_lag_ever_ns)]
        rows.append([str(loop.id), loop.thread, loop.runtime, loop.state.name.lower(), busy, *counts])
    table(body, header, rows)


def _kinds(body: Element, model: Model) -> None:
    kinds, now = model.kinds, model.now_ns
    live, busy, longest = kinds.live, kinds.busy_at(now, model.tasks), kinds.max_poll_at(now, model.tasks)
    add(body, "h2", "Kinds of tasks, the busiest first")
    header = ["kind", ">live", ">spawned", ">raised", ">polls", ">busy", ">p50 poll", ">p99 poll"]
    rows = [
        [
            clean(kinds.label(kind), _NAME),
            *(f"{int(column[kind]):,}" for column in (live, kinds.spawned, kinds.raised, kinds.polls)),
            duration(busy[kind]),
            *(
                "-" if ns is None else duration(ns)
                for ns in (kinds.quantile_ns(kind, q) for q in (0.5, 0.99))
            ),
            duration(longest[kind]),
            short(*kinds.spawn(kind)),
        ]
        for kind in np.argsort(-busy, kind="stable").tolist()
        if kinds.spawned[kind]
    ]
    table(body, [*header, ">longest poll", "spawned at"], rows[:_MOST_KINDS])
    _and_more(body, len(rows) - _MOST_KINDS, "kinds")


def _tasks(body: Element, model: Model) -> None:
    tasks, now = model.tasks, model.now_ns
    longest = tasks.max_poll_at(now)
    slowest = np.argsort(-longest, kind="stable")[:_MOST_TASKS]
    busy, scheduled = tasks.busy_at(now, slowest).tolist(), tasks.scheduled_at(now, slowest).tolist()
    header = ["task", "kind", "state", ">longest poll", ">polls", ">busy", ">scheduled", "spawned at"]
    rows = [
        [
            clean(model.task_name(int(tasks.id[row])), _NAME),
            clean(model.kinds.label(int(tasks.kind[row])), _NAME),
            _state(int(tasks.state[row]), int(tasks.outcome[row])),
            duration(longest[row]),
            f"{int(tasks.polls[row]):,}",
            duration(busy[number]),
            duration(scheduled[number]),
            short(*model.kinds.spawn(int(tasks.kind[row]))),
        ]
        for number, row in enumerate(slowest.tolist())
    ]
    add(body, "h2", "Tasks with the longest polls")
    table(body, header, rows)


def _state(state: int, outcome: int) -> str:
    return (Outcome(outcome) if outcome else State(state)).name.lower()


def _losses(body: Element, model: Model) -> None:
    lost = [f"lost on the way: {count:,} {name}" for name, count in model.dropped.items() if count]
    for line in (*lost, *(f"fault: {fault}" for fault in model.faults)):
        add(body, "p", line, class_="muted")


def _and_more(body: Element, more: int, what_: str) -> None:
    if more > 0:
        add(body, "p", f"and {more:,} {what_} more", class_="muted")
