"""What is in a stall: where its time went, as far as its samples tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from asynctop_console.clean import clean
from asynctop_console.model import limits
from asynctop_console.model.columns import clipped
from asynctop_console.model.places import Frame, users_frame
from asynctop_console.model.text import clean_frames
from asynctop_protocol.messages import Part, Stall


def clean_stall(stall: Stall) -> Stall:
    """The same with texts and numbers fit for the model, and with the whole stack in each of its parts."""
    stack = clean_frames(stall.stack)
    cut = len(stall.stack) - len(stack)

    def whole(part: Part) -> list[Frame]:
        shared = stack[: max(part.shared - cut, 0)] if 0 <= part.shared <= len(stall.stack) else []
        return [*shared, *clean_frames(part.rest)][-limits.FRAMES :]

    return replace(
        stall,
        task=clipped(stall.task),
        kind=clipped(stall.kind),
        name=clean(stall.name),
        loop=clipped(stall.loop),
        started_ns=clipped(stall.started_ns),
        duration_ns=clipped(stall.duration_ns),
        samples=clipped(stall.samples),
        stack=stack,
        callee=clean(stall.callee),
        coroutine=clean(stall.coroutine),
        poll=clipped(stall.poll),
        parts=[
            Part(clipped(part.samples), clean(part.callee), 0, whole(part))
            for part in stall.parts[: limits.PARTS]
        ],
    )


def place_of(stall: Stall) -> Hashable:
    """What stalls have in common that are counted together."""
    frame = users_frame(stall.stack)
    return (frame[1:] if frame else (stall.kind, stall.name), stall.cause)


class KeptStalls:
    """The stalls that are known. Of the place that has most, the oldest is forgotten first: what happens all
    the time does not drive out what happened once."""

    def __init__(self) -> None:
        self._stalls: dict[int, Stall] = {}
        self._places: dict[Hashable, dict[int, None]] = {}
        """The ids of each place's, oldest first."""

    def put(self, stall: Stall) -> None:
        """A stall that is new, or goes on, or has ended."""
        if stall.id in self._stalls:
            self._leave(stall.id)
        self._stalls[stall.id] = stall
        self._places.setdefault(place_of(stall), {})[stall.id] = None
        if len(self._stalls) > limits.STALLS:
            most = max(self._places.values(), key=len)
            oldest = next(iter(most))
            self._leave(oldest)
            del self._stalls[oldest]

    def all(self) -> list[Stall]:
        """Oldest first."""
        return list(self._stalls.values())

    def _leave(self, id: int) -> None:
        place = place_of(self._stalls[id])
        del self._places[place][id]
        if not self._places[place]:
            del self._places[place]


def parts_of(stall: Stall) -> list[Part]:
    """The stacks seen, with all their frames: those of a runtime that tells one only, too."""
    return stall.parts or ([Part(stall.samples, stall.callee, 0, stall.stack)] if stall.stack else [])


def share(stall: Stall, has: Callable[[Part], bool]) -> float:
    """Of the samples told, the share that has something: 0.0 to 1.0."""
    parts = parts_of(stall)
    told = sum(part.samples for part in parts)
    return sum(part.samples for part in parts if has(part)) / told if told else 0.0


def lines(stalls: Iterable[Stall]) -> Counter[tuple[Frame, str]]:
    """How many samples found the user's line, and what it was calling, most first."""
    found: Counter[tuple[Frame, str]] = Counter()
    for stall in stalls:
        for part in parts_of(stall):
            frame = users_frame(part.rest)
            if frame is not None:
                found[frame, part.callee] += part.samples
    return found


@dataclass(slots=True)
class Branch:
    """A frame, or the C function at the end of a stack, with what was seen below it."""

    frame: Frame | None
    callee: str
    samples: int = 0
    below: dict[Frame | str, Branch] = field(default_factory=dict)


def tree(stall: Stall) -> Iterator[tuple[int, Branch]]:
    """The stacks seen as one tree, each branch with its depth, outermost first and the larger one before the
    smaller. Only where stacks part do branches go deeper."""
    root = Branch(None, "")
    for part in parts_of(stall):
        at = root
        ends: list[Frame | str] = [*part.rest, *([part.callee] if part.callee else [])]
        for end in ends:
            frame, callee = (None, end) if isinstance(end, str) else (end, "")
            at = at.below.setdefault(end, Branch(frame, callee))
            at.samples += part.samples
    stack = [(0, each) for each in _smallest_first(root)]
    while stack:
        depth, branch = stack.pop()
        yield depth, branch
        below = _smallest_first(branch)
        stack += [(depth + (len(below) > 1), each) for each in below]


def _smallest_first(branch: Branch) -> list[Branch]:
    return sorted(branch.below.values(), key=lambda each: -each.samples)[::-1]
