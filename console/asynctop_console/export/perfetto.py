"""A trace for Perfetto (https://ui.perfetto.dev), in the JSON that Chrome's tracing brought up.

Tasks are threads, gathered by kind as the threads of a process: their slices are polls, and the time from a
wake to its poll. An arrow leads from the poll that woke a task to the one it led to. A process of its own has
a thread for each loop, with its stalls and incidents, and curves of how busy it was and how long tasks
waited.

Times are those of the program's monotonic clock, so that other tools' traces of it can be laid beside.

The format: "Trace Event Format", https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np

from asynctop_console.clean import program
from asynctop_console.export.finished import FinishedStalls, what
from asynctop_console.model import Frame, Model, short
from asynctop_console.model.watched import polls_of
from asynctop_console.observe import fold, nothing_in
from asynctop_console.source.recording import Recording
from asynctop_console.source.replay import batches
from asynctop_protocol.messages import History, Incident, Reset, Stall, Tick, WakerSource

NO_POLLS = (
    "the recording has no single polls, as one has that was made with --trace: "
    "what is shown are loops, stalls and incidents"
)

_APART = 1_000_000_000
"""A kind's process has this and the kind's number; a thread with the number of its process, or 0, would be
taken for its main one. The thread of what happens in no loop has it, too."""

_SPARE_TRACKS = 10_000
"""Tracks are looked through for those of tasks long gone when there are so many more than tasks."""

_STARTED = 4
"""Column of `polls_of`."""


def export(recording: Recording, out: TextIO) -> str:
    """Write the trace. Returns what one should know about it, "" where that is nothing.

    TargetError where the recording is damaged, or holds nothing."""
    writer = _Writer(out, recording.from_ns)
    model = Model()
    for batch in batches(recording, recording.from_ns):
        polls = [message for message in batch if isinstance(message, History)]
        anew = any(isinstance(message, Reset) for message in batch)
        for message in batch:
            # At a tick, the model forgets tasks that have ended, and takes in those told after a reset.
            if isinstance(message, Tick) and not anew:
                writer.polls(model, polls)
            if not isinstance(message, History):
                fold(recording.path, model, message)
        if anew:
            writer.polls(model, polls)
        writer.ticked(model)
    if not model.ticks:
        raise nothing_in(recording)
    writer.end(model)
    return "" if writer.has_polls else NO_POLLS


@dataclass(slots=True)
class _Track:
    """Of a task."""

    place: str
    """The members of an event that say whose it is."""
    label: str
    """What its polls are called, in JSON."""
    since_ns: int
    """When its first poll in the trace began."""
    until_ns: int = 0
    """When its last one so far ended."""


class _Writer:
    def __init__(self, out: TextIO, from_ns: int) -> None:
        self.has_polls = False
        self._pid = 0
        """The process that the loops are in."""
        self._out = out
        self._from_ns = from_ns
        self._separator = '{"displayTimeUnit":"ns","traceEvents":[\n'
        self._tracks: dict[int, _Track] = {}
        self._processes: set[int] = set()
        self._loops: set[int] = set()
        self._arrows = 0
        self._stalls = FinishedStalls(from_ns)
        self._incidents: dict[int, int] = {}
        """How often each had happened by the last tick."""
        self._busy_ns: dict[int, int] = {}
        """Of each loop, by then."""
        self._ticked_ns = 0

    # Polls and wakes

    def polls(self, model: Model, messages: list[History]) -> None:
        """Write what a batch says of tasks, those first that began first: a waker comes before the woken."""
        if not messages:
            return
        self.has_polls = True
        tasks, rows = (np.concatenate(part) for part in zip(*map(polls_of, messages), strict=True))
        order = np.argsort(rows[:, _STARTED], kind="stable")
        ids, polls = tasks[order].tolist(), rows[order].tolist()
        lines: list[str] = []
        wakers: dict[tuple[int, int, int], str] = {}
        for task, (woken, source, by, name, started, ended, *_) in zip(ids, polls, strict=True):
            track = self._tracks.get(task) or self._track(model, task, started)
            # A task that is woken while it runs is not waiting yet.
            waits_from = max(woken, track.until_ns)
            if woken and waits_from < started:
                key = source, by, name
                said = wakers.get(key) or wakers.setdefault(key, json.dumps(_waker(model, *key)))
                lines.append(
                    f'{{"ph":"X","name":"scheduled","cat":"scheduled",{track.place},'
                    f'"ts":{_us(waits_from)},"dur":{_us(started - waits_from)},'
                    f'"args":{{"woken by":{said}}}}}'
                )
            ended = max(started, ended)
            lines.append(
                f'{{"ph":"X","name":{track.label},"cat":"poll",{track.place},'
                f'"ts":{_us(started)},"dur":{_us(ended - started)}}}'
            )
            from_ = self._tracks.get(by) if source == WakerSource.TASK else None
            if from_ and from_.since_ns <= woken <= started:
                self._arrows += 1
                arrow = f'"name":"wake","cat":"wake","id":{self._arrows}'
                # At the very end of a slice it would hang on the next one.
                woke = woken - (woken == from_.until_ns)
                lines.append(f'{{"ph":"s",{arrow},{from_.place},"ts":{_us(woke)}}}')
                lines.append(f'{{"ph":"f","bp":"e",{arrow},{track.place},"ts":{_us(started)}}}')
            track.until_ns = ended
        self._put(lines)

    def _track(self, model: Model, task: int, since_ns: int) -> _Track:
        if len(self._tracks) > model.tasks.rows + _SPARE_TRACKS:
            known = set(model.tasks.id.tolist())
            self._tracks = {task: track for task, track in self._tracks.items() if task in known}
        row = model.tasks.row(task)
        kind = 0 if row is None else int(model.tasks.kind[row])
        name = model.task_name(task)
        process = self._process(model, kind)
        label = json.dumps(model.kinds.label(kind) if kind else name)
        track = _Track(f'"pid":{process},"tid":{task}', label, since_ns)
        self._tracks[task] = track
        self._meta("thread_name", process, task, name=name)
        return track

    def _process(self, model: Model, kind: int) -> int:
        process = kind + _APART
        if process not in self._processes:
            self._processes.add(process)
            spawned_at = short(*model.kinds.spawn(kind))
            label = model.kinds.label(kind)
            self._meta("process_name", process, 0, name=f"{label} ({spawned_at})" if spawned_at else label)
        return process

    # Loops

    def ticked(self, model: Model) -> None:
        """Write what a batch says of loops."""
        self._pid, now = model.hello.pid if model.hello else 0, model.now_ns
        for loop in model.loops:
            since = self._busy_ns.get(loop.id)
            if since is not None and now > self._ticked_ns:
                share = min(max((loop.busy_at(now) - since) / (now - self._ticked_ns), 0.0), 1.0)
                self._curve(f"loop {loop.id} busy", "%", now, round(100 * share, 1))
                self._curve(f"loop {loop.id} lag", "ms", now, loop.max_lag_ns / 1e6)
        self._busy_ns = {loop.id: loop.busy_at(now) for loop in model.loops}
        self._ticked_ns = now
        for stall in self._stalls.take(model):
            self._stall(model, stall)
        for incident in model.incidents:
            if incident.at_ns >= self._from_ns and incident.count > self._incidents.get(incident.id, 0):
                self._incident(model, incident)
        self._incidents = {incident.id: incident.count for incident in model.incidents}

    def end(self, model: Model) -> None:
        """Write what goes on still, and close the list."""
        for stall in self._stalls.take(model, ongoing=True):
            self._stall(model, stall)
        hello = model.hello
        if hello:
            self._meta("process_name", self._pid, 0, name=program(hello.argv))
        about = {
            "program": " ".join(hello.argv) if hello else "",
            "python": hello.python if hello else "",
            "runtime": hello.runtime if hello else "",
            **{f"lost on the way: {name}": count for name, count in model.dropped.items()},
        }
        self._out.write(f'\n],\n"otherData":{json.dumps(about)}}}\n')

    def _stall(self, model: Model, stall: Stall) -> None:
        arguments = {
            "task": model.task_name(stall.task) if stall.task else "",
            "kind": model.kinds.label(stall.kind) if stall.kind else "a callback",
            "cause": stall.cause.name.lower(),
            "ongoing": stall.ongoing,
            "stack": _frames(stall.stack),
        }
        self._event(
            "X",
            what(stall),
            "stall",
            self._loop(model, stall.loop),
            ts=stall.started_ns / 1e3,
            dur=stall.duration_ns / 1e3,
            args=arguments,
        )

    def _incident(self, model: Model, incident: Incident) -> None:
        arguments = {
            "what": incident.text,
            "of": incident.name,
            "count": incident.count,
            "stack": _frames(incident.stack),
        }
        place = self._loop(model, incident.loop)
        self._event("i", incident.type, "incident", place, ts=incident.at_ns / 1e3, s="t", args=arguments)

    def _curve(self, name: str, unit: str, at_ns: int, value: float) -> None:
        self._event("C", name, "loop", 0, ts=at_ns / 1e3, args={unit: value})

    def _loop(self, model: Model, number: int) -> int:
        """The thread of a loop; that of number 0 is for what happens in none."""
        thread = number or _APART
        if number not in self._loops:
            self._loops.add(number)
            loop = model.loop(number)
            name = f"loop {number} {loop.thread if loop else ''}".rstrip() if number else "in no loop"
            self._meta("thread_name", self._pid, thread, name=name)
        return thread

    # The file

    def _event(self, phase: str, name: str, category: str, thread: int, **members: Any) -> None:
        event = {"ph": phase, "name": name, "cat": category, "pid": self._pid, "tid": thread, **members}
        self._put([json.dumps(event)])

    def _meta(self, what: str, process: int, thread: int, **arguments: str) -> None:
        self._put([json.dumps({"ph": "M", "name": what, "pid": process, "tid": thread, "args": arguments})])

    def _put(self, events: Iterable[str]) -> None:
        for event in events:
            self._out.write(self._separator + event)
            self._separator = ",\n"


def _us(ns: int) -> str:
    """In microseconds, as the format wants them; to the nanosecond, which a float of that size would lose."""
    return f"{ns // 1000}.{ns % 1000:03}"


def _waker(model: Model, source: int, task: int, text: int) -> str:
    name = model.task_name(task) if source == WakerSource.TASK else model.text(text)
    return f"{WakerSource(source).name.lower()} {name}".rstrip()


def _frames(stack: list[Frame]) -> list[str]:
    return [f"{function}() at {file}:{line}" for function, file, line in stack]
