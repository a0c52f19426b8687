"""The lines around every screen: who is looked at and how that stands, the meters, and the banner of the
stalls."""

from __future__ import annotations

from textwrap import wrap

from rich.cells import cell_len

from asynctop_console.clean import program
from asynctop_console.model.times import duration
from asynctop_console.views.cells import age_text, ago, count
from asynctop_console.views.frame import Frame, Phase, culprit
from asynctop_console.views.line import Group, Piece
from asynctop_protocol.messages import Cause, Stall, State

INSTALL = ("import asynctop; asynctop.install()", "asynctop run app.py")
"""What makes a program visible: a line to add, or a command to start it with."""


def status(frame: Frame, badges: list[str]) -> tuple[list[Group], Group, str]:
    """Groups, right end and ground of the status line."""
    stall = next(iter(frame.ongoing), None)
    ground = ""
    if stall is not None and frame.link.phase in (Phase.LIVE, Phase.PAST):
        where = culprit(stall)
        text = f" loop blocked {duration(frame.lasted_ns(stall))} by {stall.name or 'a callback'}"
        groups: list[Group] = [(Piece(text + (f" ({where})" if where else "")),)]
        ground = "alert"
    else:
        groups = _target(frame)
    right: list[Piece] = [Piece(f" {badge} ", "text", ground="notice") for badge in badges]
    right.append(_state(frame))
    return groups, tuple(right), ground


def _target(frame: Frame) -> list[Group]:
    title = Piece(" asynctop ", "title")
    hello = frame.model.hello
    if hello is None:
        return [(title, Piece(f" {frame.link.target}", "muted"))]
    command = program(hello.argv) or "?"
    return [
        # One group, and the first: a long command is cut, not left out.
        (title, Piece(f" pid {hello.pid}", "strong"), Piece(f"  {command}", "text")),
        (Piece(f"  {hello.runtime} {hello.python}", "muted"),),
        (Piece(f"  core {hello.core}", "muted"),),
    ]


def _state(frame: Frame) -> Piece:
    link = frame.link
    if frame.paused:
        return Piece(
            f" PAUSED {frame.held} {'update' if frame.held == 1 else 'updates'} held ", ground="notice"
        )
    match link.phase:
        case Phase.CONNECTING:
            return Piece(" ○ connecting ", "warn")
        case Phase.RECONNECTING:
            return Piece(f" ○ reconnecting in {link.retry_s} s (try {link.attempt}) ", ground="notice")
        case Phase.EXITED:
            return Piece(" ■ EXITED, waiting for a restart " if link.again else " ■ EXITED ", ground="notice")
        case Phase.REPLAY:
            return Piece(f" REPLAY {link.text} ", ground="notice")
        case Phase.PAST:
            return Piece(f" ‖ {link.text} ", ground="notice")
        case Phase.REFUSED:
            return Piece(" ✗ FAILED ", ground="alert")
        case Phase.LIVE:
            if frame.silent_ns:
                return Piece(f" ○ silent for {age_text(frame.silent_ns)} ", "warn")
            return Piece(" ● live ", "good")


_KEPT = ("tasks", "busy", "lag", "dropped", "warnings", "worst", "polls")
"""Groups of the meters line, by what they are worth where there is no room for all."""


def meters(frame: Frame, width: int) -> list[Group]:
    """Groups of the meters line that fit into `width` cells. Numbers that change have a fixed place."""
    model = frame.model
    if not model.ticks:
        return []
    counts, values = model.tasks.counts(), model.meters
    ratio, rate = values.busiest_ratio, values.polls_per_second
    now, p99, most = values.lag_now_ns, values.lag_p99_ns, values.lag_max_ns
    wide = width >= 100
    live = sum(counts.values()) - counts[State.DONE]
    gap = "  " if wide else " "
    # Of ever the same tasks now fewer are scheduled or idle, now more: what follows should not jump.
    digits = len(count(live))
    groups: dict[str, Group] = {
        "tasks": (
            Piece(f" {count(live)} task{'s' if live != 1 else ' '} ", "strong"),
            Piece(f"►{count(counts[State.POLLING])} ", "polling"),
            Piece(f"○{count(counts[State.SCHEDULED]):<{max(digits, 2)}} ", "scheduled"),
            Piece(f"·{count(counts[State.IDLE]):<{digits}} ", "idle"),
            Piece(f"✓{count(counts[State.DONE])}", "faint"),
        ),
        "busy": (Piece(f"{gap}busy", "muted"), Piece(_percent(ratio), _grade(ratio, 0.7, 0.95))),
        "lag": (Piece(f"{gap}lag", "muted"), Piece(f"{_time(now):>7}", _grade(now, 10**7, 10**8))),
        "worst": (
            Piece(f" p99{_time(p99):>7}", "muted"),
            Piece(f" max{_time(most):>7}", _grade(most, 10**8, 10**9, "muted")),
        ),
        "polls": (
            Piece(f"{gap}{count(round(rate or 0)):>5}", "text"),
            Piece(" polls/s" if wide else "/s", "muted"),
        ),
    }
    warnings, lost = len(frame.findings), sum(model.dropped.values())
    if warnings:
        word = f" warning{'s' if warnings > 1 else ''}" if wide else ""
        groups["warnings"] = (Piece(f"{gap}!{warnings}{word}", "warn", "app.screen('warnings')"),)
    if lost:
        groups["dropped"] = (Piece(f"{gap}dropped {count(lost)}", "bad"),)
    room, kept = width, set()
    for name in _KEPT:
        needed = sum(cell_len(piece.text) for piece in groups.get(name, ()))
        if needed <= room:
            room -= needed
            kept.add(name)
    return [group for name, group in groups.items() if name in kept]


def _percent(ratio: float | None) -> str:
    return "    -" if ratio is None else f"{ratio:5.0%}"


def _time(ns: int | None) -> str:
    return "-" if ns is None else duration(ns)


def _grade(value: float | None, warn: float, bad: float, else_: str = "text") -> str:
    if value is None or value < warn:
        return else_
    return "bad" if value >= bad else "warn"


CAUSES = {
    Cause.UNKNOWN: "unknown",
    Cause.BLOCKING: "blocking call",
    Cause.CPU: "CPU",
    Cause.GIL: "GIL held",
    Cause.GC: "GC",
}
"""A cause in words."""


def banner(frame: Frame) -> tuple[list[Group], str] | None:
    """Groups and ground of the line above the footer: the stall going on, else the trouble or stall that
    was last.

    None where there has been none: the line is not shown before the first, and stays from then on, so that
    the rows do not jump.
    """
    model = frame.model
    if frame.ongoing:
        stall = frame.ongoing[0]
        text = f" █ BLOCKING {duration(frame.lasted_ns(stall))}  {_who(frame, stall)}"
        groups: list[Group] = [(Piece(text),), (Piece(f"  {CAUSES[stall.cause]}"),)]
        if len(frame.ongoing) > 1:
            groups.append((Piece(f"  and {len(frame.ongoing) - 1} more"),))
        return groups, "alert"
    if model.faults:
        more = f" (and {len(model.faults) - 1} more)" if len(model.faults) > 1 else ""
        return [(Piece(f" ✗ switched off in the program: {model.faults[-1]}{more}", "warn"),)], ""
    if model.dropped and any(model.dropped.values()):
        lost = ", ".join(f"{name} {number}" for name, number in model.dropped.items() if number)
        return [(Piece(f" ! data was dropped on the way: {lost}", "warn"),)], ""
    if not frame.stalls:
        return None
    last = max(frame.stalls, key=lambda stall: stall.started_ns + stall.duration_ns)
    since = max(frame.now_ns - last.started_ns - last.duration_ns, 0)
    return [
        (
            Piece(" last stall ", "muted"),
            Piece(duration(last.duration_ns), "warn"),
            Piece(f"  {_who(frame, last)}"),
        ),
        (Piece(f"  {ago(since)}", "muted"),),
        (Piece(f"  {CAUSES[last.cause]}", "muted"),),
    ], ""


def _who(frame: Frame, stall: Stall) -> str:
    name = stall.name or frame.model.kinds.label(stall.kind)
    where = culprit(stall)
    return f"{name}  {where}" if where else name


def welcome(frame: Frame, width: int) -> list[tuple[str, str]]:
    """What fills the screen while there is nothing to show: lines with their roles."""
    link = frame.link
    if link.phase is Phase.REFUSED:
        why = [(line, "text") for line in wrap(link.text, max(width - 4, 20))]
        return [("Cannot look into this program.", "bad"), ("", "text"), *why]
    lines = [
        (f"Connecting to {link.target} ...", "strong"),
        (link.text, "muted"),
        ("", "text"),
        ("A program can be seen here once it is instrumented. Either add to it", "muted"),
        ("", "text"),
        (f"    {INSTALL[0]}", "accent"),
        ("", "text"),
        ("or start it, unchanged, with", "muted"),
        ("", "text"),
        (f"    {INSTALL[1]}", "accent"),
    ]
    return [line for line in lines if line != ("", "muted")]
