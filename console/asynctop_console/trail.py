"""The last minutes of a program that a console looks at, so that it can go back to any moment of them.

Now and then the whole model is kept as it is, and all that comes after it, as it came. An earlier moment is
the model that was kept before it, with what came up to then folded in once more: exactly what was shown.

Memory is bounded. The oldest is forgotten first; of very many tasks nothing is kept, as one model would take
all there is.
"""

from __future__ import annotations

import asyncio
import pickle
from bisect import bisect_right
from collections.abc import Iterator

from asynctop_console.compression import zstd
from asynctop_console.model.model import Model
from asynctop_console.model.past import EarlierPast, Past
from asynctop_protocol.codec import decode
from asynctop_protocol.framing import Deframer, frame
from asynctop_protocol.limits import MAX_FRAME_BYTES
from asynctop_protocol.messages import Message, Tick

MOST_TASKS = 200_000
"""A model of so many takes about 50 MB until it is compressed."""
_MOST_BYTES = 64 << 20
_SECTION_TICKS = 128
_SECTION_BYTES = 4 << 20, 16 << 20
"""What is to be folded at most to get to a moment. Of a large model, which should come less often, as much as
it takes itself, within these limits."""
_LEVEL = 1
"""The fastest: columns of numbers come out at a fifth of their size all the same."""


class _Section:
    """A model, and what came after it up to the next one."""

    def __init__(self, model: Model) -> None:
        pickled = pickle.dumps(model, pickle.HIGHEST_PROTOCOL)
        self._model = zstd.compress(pickled, _LEVEL)
        self._came: bytes | bytearray = bytearray()
        """Frames; compressed once the section has ended."""
        self._most = min(max(len(pickled), _SECTION_BYTES[0]), _SECTION_BYTES[1])
        self.times = [model.now_ns]
        """Of the tick at which the model was kept, and of those that came after it."""

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self._model) + len(self._came)

    @property
    def long_enough(self) -> bool:
        """Whether the next one should begin."""
        return len(self.times) > _SECTION_TICKS or len(self._came) >= self._most

    def add(self, payload: bytes) -> None:
        """A message has come."""
        self._came += frame(payload)

    def end(self) -> None:
        """Nothing comes any more."""
        self._came = zstd.compress(self._came, _LEVEL)

    def model(self) -> Model:
        """As it was kept: without its past."""
        model: Model = pickle.loads(zstd.decompress(self._model))
        return model

    def messages(self) -> Iterator[Message]:
        """What came after it."""
        came = self._came
        data = bytes(came) if isinstance(came, bytearray) else zstd.decompress(came)
        for payload in Deframer(MAX_FRAME_BYTES).feed(data):
            message = decode(payload)
            assert message is not None, "only messages that were understood are kept"
            yield message


class Trail:
    """What came lately of one program, in at most so many bytes, but for the section that is not over."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._sections: list[_Section] = []

    @property
    def from_ns(self) -> int:
        """The earliest tick that one can go back to; 0 where there is none."""
        return self._sections[0].times[0] if self._sections else 0

    def add(self, message: Message, payload: bytes, model: Model) -> bool:
        """A message was folded into the model; `payload` is what it was read from. Whether it is time to
        `keep` the model."""
        if not model.ticks or model.tasks.rows > MOST_TASKS:  # another program by now, or a large one
            self._sections.clear()
            return False
        section = self._sections[-1] if self._sections else None
        if section is not None:
            section.add(payload)
        if not isinstance(message, Tick):
            return False
        if section is not None:
            section.times.append(model.now_ns)
        return section is None or section.long_enough

    async def keep(self, model: Model) -> None:
        """Begin a section with the model, which must not change meanwhile: a thread does the work."""
        sections = self._sections
        if sections:
            await asyncio.to_thread(sections[-1].end)
        sections.append(await asyncio.to_thread(_Section, model))
        size = sum(section.size for section in sections)
        while size > self._most_bytes and len(sections) > 1:
            size -= sections.pop(0).size

    def next_ns(self, at_ns: int) -> int:
        """The time of the first tick after this one; the same where there is none."""
        later = (at for section in self._sections for at in section.times if at > at_ns)
        return next(later, at_ns)

    def at(self, at_ns: int, past: Past) -> Model:
        """The model as of the last tick by then, or the earliest that is kept: something must be. `past` is
        what is known by now of the last hours."""
        starts = [section.times[0] for section in self._sections]
        section = self._sections[max(bisect_right(starts, at_ns) - 1, 0)]
        model = section.model()
        model.past = EarlierPast(past, model.now_ns)
        last = model.ticks + max(bisect_right(section.times, at_ns) - 1, 0)
        messages = section.messages()
        while model.ticks < last:
            model.fold(next(messages))
        return model
