"""deep-await-recursion: coroutines that await themselves, ever deeper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from asynctop_console.lints.finding import Finding, Lint, Severity, at
from asynctop_console.model import Frame, Model, places
from asynctop_protocol.messages import Chain


@dataclass(frozen=True)
class DeepAwaitRecursion(Lint):
    """A coroutine awaits itself, deeper and deeper: no frame of it is freed before the last one returns.

    Each level keeps a frame alive, and each poll passes through all of them down to the innermost, so deep
    chains are slow, large, and end in a `RecursionError`. Typical is a reconnect that awaits itself instead
    of looping.

    Write a loop in place of the recursion, or keep what is still to do in a list.
    """

    name: ClassVar[str] = "deep-await-recursion"
    severity: ClassVar[Severity] = Severity.WARNING

    least_depth: Annotated[int, "frames of the await chain: many layers of middleware make half of it"] = 60
    least_share: Annotated[float, "of the frames that are at one line, else it is no recursion"] = 0.2

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each recursive call, about the deepest of its tasks."""
        groups: dict[Frame, list[Chain]] = {}
        for chain in model.waits.chains.values():
            if chain.depth >= self.least_depth:
                place = self._recursive_call(chain)
                if place is not None:
                    groups.setdefault(place, []).append(chain)
        for place, chains in groups.items():
            deepest = max(chains, key=lambda chain: chain.depth)
            others = f", and {len(chains) - 1:,} more likewise" if len(chains) > 1 else ""
            yield self.about_task(
                model,
                deepest.task,
                f"Task {model.task_name(deepest.task)} is {deepest.depth:,} frames deep in awaits, "
                f"awaiting itself again and again{at(place)}{others}. Make it a loop.",
                place=place,
                others=(chain.task for chain in chains),
            )

    def _recursive_call(self, chain: Chain) -> Frame | None:
        """Where it awaits itself, None where it does not."""
        lines = Counter(frame for frame in chain.frames if places.is_users(frame)) or Counter(chain.frames)
        if not lines:
            return None
        place, count = lines.most_common(1)[0]
        return place if count >= self.least_share * len(chain.frames) else None
