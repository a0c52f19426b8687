"""The model as a short report for people without a screen to spare."""

from __future__ import annotations

import numpy as np

from asynctop_console.clean import clean, program
from asynctop_console.lints import RULES, Rule, check_all
from asynctop_console.model import Model, duration, short, users_frame
from asynctop_protocol.messages import Stall, State

_MOST_KINDS = 10
_MOST_STALLS = 10
_MOST_FINDINGS = 20


def report(model: Model, rules: tuple[Rule, ...] = RULES) -> str:
    """Target, loops, the busiest kinds, the longest stalls and the findings, for 110 columns."""
    sections = [
        _target(model),
        _loops(model),
        _kinds(model),
        _stalls(model),
        _findings(model, rules),
        _losses(model),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _target(model: Model) -> list[str]:
    hello = model.hello
    counts = model.tasks.counts()
    live = sum(counts.values()) - counts[State.DONE]
    observed = duration(model.now_ns - model.observed_from_ns)
    lines = []
    if hello:
        lines.append(f"pid {hello.pid}  {clean(program(hello.argv), 90)}")
        lines.append(f"Python {hello.python}, {hello.runtime}, {hello.core} core, observed for {observed}")
    states = (State.POLLING, State.SCHEDULED, State.IDLE)
    lines.append(
        f"{live:,} live tasks: " + ", ".join(f"{counts[state]:,} {state.name.lower()}" for state in states)
    )
    return lines


def _loops(model: Model) -> list[str]:
    lines = [f"{'LOOP':<24} {'STATE':<8} {'BUSY':>5} {'POLLS':>12} {'MAX LAG':>8}"]
    for loop in model.loops:
        ratio = model.meters.observed_busy_ratio(loop.id)
        busy = "-" if ratio is None else f"{ratio:.0%}"
        name = clean(f"{loop.id} {loop.thread}", 24)
        state = loop.state.name.lower()
        lines.append(f"{name:<24} {state:<8} {busy:>5} {loop.polls:>12,} {duration(loop.max_lag_ever_ns):>8}")
    return lines if model.loops else []


def _kinds(model: Model) -> list[str]:
    kinds, now = model.kinds, model.now_ns
    live, busy, longest = kinds.live, kinds.busy_at(now, model.tasks), kinds.max_poll_at(now, model.tasks)
    busiest = np.argsort(-busy, kind="stable")[:_MOST_KINDS].tolist()
    lines = [
        f"{'KIND':<36} {'LIVE':>9} {'SPAWNED':>11} {'BUSY':>8} {'P99 POLL':>8} {'MAX POLL':>8}  SPAWNED AT"
    ]
    for kind in busiest:
        if kinds.spawned[kind]:
            p99 = kinds.quantile_ns(kind, 0.99)
            lines.append(
                f"{clean(kinds.label(kind), 36):<36} {live[kind]:>9,} {kinds.spawned[kind]:>11,} "
                f"{duration(busy[kind]):>8} {'-' if p99 is None else duration(p99):>8} "
                f"{duration(longest[kind]):>8}  {short(*kinds.spawn(kind))}".rstrip()
            )
    return lines if len(lines) > 1 else []


def _stalls(model: Model) -> list[str]:
    def line(stall: Stall) -> str:
        frame = users_frame(stall.stack)
        where = f"{frame[0]}() at {short(frame[1], frame[2])}" if frame else "at an unknown line"
        lasts = "  ongoing" if stall.ongoing else ""
        head = f"{duration(stall.duration_ns):>8}  {stall.cause.name.lower():<8}"
        return f"{head}  {clean(stall.name, 30)}  {where}{lasts}"

    longest = sorted(model.stalls, key=lambda stall: -stall.duration_ns)[:_MOST_STALLS]
    return [f"STALLS ({len(model.stalls)}, the longest first)", *map(line, longest)] if longest else []


def _findings(model: Model, rules: tuple[Rule, ...]) -> list[str]:
    findings = check_all(model, rules)
    if not findings:
        return ["No lint has found anything."]
    shown = [
        f"{finding.severity}: {finding.message} [{finding.lint}]" for finding in findings[:_MOST_FINDINGS]
    ]
    more = len(findings) - len(shown)
    return [f"FINDINGS ({len(findings)})", *shown, *([f"and {more} more, see --json"] if more else [])]


def _losses(model: Model) -> list[str]:
    lost = [f"lost on the way: {count:,} {name}" for name, count in model.dropped.items() if count]
    return [*lost, *(f"fault: {fault}" for fault in model.faults)]
