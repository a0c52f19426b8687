"""Stalls for speedscope (https://www.speedscope.app): where each loop's time went while it was held up.

A profile for each loop. Its stalls stand one after another, the time between them left out; the time of each
is shared among the stacks that were seen, as the samples were.

The format: https://www.speedscope.app/file-format-schema.json
"""

from __future__ import annotations

import json
from typing import Any, TextIO, TypeAlias

from asynctop_console.clean import program
from asynctop_console.export.finished import FinishedStalls
from asynctop_console.model import Frame, Model, duration
from asynctop_console.model.stalls import parts_of
from asynctop_console.observe import moments
from asynctop_console.source.recording import Recording
from asynctop_protocol.messages import Part, Stall

NO_STALLS = "the recording has no stalls: there is nothing to show"

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"

_Stack: TypeAlias = tuple[int, ...]
"""Numbers of frames, outermost first."""


def export(recording: Recording, out: TextIO) -> str:
    """Write the profiles. Returns what one should know about them, "" where that is nothing.

    TargetError where the recording is damaged."""
    profiles = _Profiles()
    stalls = FinishedStalls(recording.from_ns)
    for model in moments(recording):
        profiles.add(model, stalls.take(model))
    profiles.add(model, stalls.take(model, ongoing=True))
    json.dump(profiles.told(model), out)
    out.write("\n")
    return "" if profiles.by_loop else NO_STALLS


class _Profiles:
    """Stacks are kept once each, so an hour of stalls is some megabytes."""

    def __init__(self) -> None:
        self.by_loop: dict[int, list[tuple[_Stack, int]]] = {}
        """Of each loop, the stacks seen, and for how many ns."""
        self._counts: dict[int, int] = {}
        self._frames: dict[tuple[str, str, int], int] = {}
        self._stacks: dict[_Stack, _Stack] = {}

    def add(self, model: Model, stalls: list[Stall]) -> None:
        """Take in these."""
        for stall in stalls:
            profile = self.by_loop.setdefault(stall.loop, [])
            self._counts[stall.loop] = self._counts.get(stall.loop, 0) + 1
            parts = parts_of(stall) or [Part(1, "", 0, [])]
            samples = sum(part.samples for part in parts)
            left_ns = stall.duration_ns
            for part in parts:
                # What rounding leaves over is the last one's.
                last, share = part is parts[-1], stall.duration_ns * part.samples // max(samples, 1)
                part_ns = left_ns if last else share
                left_ns -= part_ns
                profile.append((self._stack(model, stall, part), part_ns))

    def _stack(self, model: Model, stall: Stall, part: Part) -> _Stack:
        who = model.kinds.label(stall.kind) if stall.kind else stall.name
        frames: list[Frame] = [*part.rest, *([(part.callee, "", 0)] if part.callee else [])]
        stack = tuple(map(self._frame, frames or [(f"{who}: nobody saw where", "", 0)]))
        return self._stacks.setdefault(stack, stack)

    def _frame(self, frame: Frame) -> int:
        return self._frames.setdefault(frame, len(self._frames))

    def told(self, model: Model) -> dict[str, Any]:
        """The whole file."""
        hello = model.hello
        return {
            "$schema": _SCHEMA,
            "exporter": "asynctop",
            "name": f"stalls of {program(hello.argv) if hello else 'a program'}",
            "shared": {"frames": [_told(frame) for frame in self._frames]},
            "profiles": [self._profile(model, loop) for loop in self.by_loop],
        }

    def _profile(self, model: Model, number: int) -> dict[str, Any]:
        samples, weights = zip(*self.by_loop[number], strict=True)
        loop, count, total = model.loop(number), self._counts[number], sum(weights)
        thread = f" {loop.thread}" if loop else ""
        return {
            "type": "sampled",
            "name": f"loop {number}{thread}, stalled ×{count:,} for {duration(total)}",
            "unit": "nanoseconds",
            "startValue": 0,
            "endValue": total,
            "samples": samples,
            "weights": weights,
        }


def _told(frame: Frame) -> dict[str, Any]:
    function, file, line = frame
    place = {"file": file, "line": line} if file else {}
    return {"name": function, **place}
