"""Recordings in files: written with compression, read with or without. `asynctop_protocol.recordings` tells
what is in them."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

from asynctop_console.compression import zstd
from asynctop_console.source.target import TargetError
from asynctop_protocol.recordings import LABEL_BYTES, RECORDING_VERSION, label, read_label

_LEVEL = 3
"""zstd's own default: faster than any program's stream."""

_CHUNK = 1 << 20


class Block(NamedTuple):
    """Where in the file a block is, and what it holds."""

    begins: bool
    """Whether it starts with a hello."""
    from_ns: int
    until_ns: int
    """Times of its first and last tick, of the program's clock."""
    offset: int
    length: int
    """Of its zstd frame, in bytes. The file may end before."""
    polls: bool
    """Whether it has nothing but the polls of the block before."""


class Writer:
    """Adds blocks to a file. Raises OSError where that cannot be written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.written = 0
        """Bytes."""

    def add(self, data: bytes, *, begins: bool, from_ns: int, until_ns: int, polls: bool = False) -> None:
        """Write a block, with `polls` one that has nothing but those of the block before; when this returns,
        the operating system has it."""
        frame = zstd.compress(data, _LEVEL)
        self._file.write(label(begins, from_ns, until_ns, len(frame), polls=polls) + frame)
        self._file.flush()
        self.written += LABEL_BYTES + len(frame)


class Recording:
    """A recording to be read. TargetError where the file is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                blocks = list(_labels(path, file))
        except OSError as error:
            raise TargetError(f"cannot read {path}: {error.strerror}") from None
        self.blocks = [block for block in blocks if not block.polls]
        """Those with all but the polls of a trace."""
        if not self.blocks:
            raise TargetError(f"{path} holds nothing yet: its recording was cut off before the first second")
        self._polls = {block: polls for block, polls in pairwise(blocks) if polls.polls}
        self.from_ns = self.blocks[0].from_ns
        self.until_ns = self.blocks[-1].until_ns
        self._begins = [number for number, block in enumerate(self.blocks) if block.begins]

    def begin_for(self, at_ns: int) -> int:
        """The number of the last block that begins by this time; of the first one where there is none."""
        times = [self.blocks[number].from_ns for number in self._begins]
        return self._begins[max(bisect_right(times, at_ns) - 1, 0)]

    def begin_within(self, length: int, at_ns: int) -> int:
        """The number of the first block that begins with at most so many bytes of the file from there on to
        this time; where there is none, of the last one before."""
        last = self.begin_for(at_ns)
        end = bisect_right(self.blocks, at_ns, key=lambda block: block.from_ns) - 1
        offset = self.blocks[max(end, last)].offset - length
        return next(
            number for number in self._begins if self.blocks[number].offset >= offset or number == last
        )

    def data(self, number: int) -> Iterator[bytes]:
        """What a block holds, piece by piece; less where the file ends in it."""
        return self._data(self.blocks[number])

    def polls(self, number: int) -> Iterator[bytes]:
        """Likewise, what the polls' block holds that belongs to it; nothing where there is none."""
        block = self._polls.get(self.blocks[number])
        return iter(()) if block is None else self._data(block)

    def _data(self, block: Block) -> Iterator[bytes]:
        decompressor = zstd.ZstdDecompressor()
        at, end = block.offset, block.offset + block.length
        while not decompressor.eof:
            compressed = self._read(at, min(end - at, _CHUNK)) if decompressor.needs_input else b""
            at += len(compressed)
            if decompressor.needs_input and not compressed:
                return
            try:
                yield decompressor.decompress(compressed, _CHUNK)
            except zstd.ZstdError as error:
                raise TargetError(f"{self.path} is damaged after byte {block.offset}: {error}") from None

    def _read(self, at: int, most: int) -> bytes:
        # Not kept open: nobody knows when somebody who gives up half-way is done with it.
        with self.path.open("rb") as file:
            file.seek(at)
            return file.read(most)


def is_recording(path: str) -> bool:
    """Whether there is a file that begins as a recording does."""
    try:
        with Path(path).open("rb") as file:
            return read_label(file.read(LABEL_BYTES)) is not None
    except (OSError, ValueError):
        return False


def _labels(path: Path, file: BinaryIO) -> Iterator[Block]:
    offset, size = 0, os.fstat(file.fileno()).st_size
    while data := file.read(LABEL_BYTES):
        found = read_label(data)
        if found is None:
            if offset and len(data) < LABEL_BYTES:
                return  # cut off within a label
            raise TargetError(
                f"{path} is no recording: expected the mark of `asynctop record` at byte {offset}"
            )
        if found.version != RECORDING_VERSION:
            raise TargetError(
                f"{path} is a recording of version {found.version}, expected {RECORDING_VERSION}: "
                "use the asynctop it is of"
            )
        offset += LABEL_BYTES
        yield Block(found.begins, found.from_ns, found.until_ns, offset, found.length, found.polls)
        offset = min(offset + found.length, size)
        file.seek(offset)
