"""Recordings: what a program has sent, in a file.

A recording is a series of zstd frames, the blocks, so `zstd -dc FILE` gives the stream of the wire. Before
each stands one of zstd's skippable frames, the label: what the block holds, and how long it is. So a reader
hops from label to label and decompresses nothing that it does not need.

A block that *begins* starts with a program's hello, and with all its state: one can start reading there. What
follows up to the next such block is the stream of one connection. A file that was cut off in the middle of a
block gives what is left of that.
"""

from __future__ import annotations

import os
import struct
import sys
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from asynctop_console.source.target import TargetError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LABEL = struct.Struct("<II8sBBqqQ")
"""A skippable frame: its magic number and length; and in it our own mark, the version of this format, whether
the block begins, the time of its first and last tick, and the length of its zstd frame."""
_SKIPPABLE = 0x184D2A5A
_MARK = b"asynctop"
_VERSION = 1

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


class Writer:
    """Adds blocks to a file. Raises OSError where that cannot be written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.written = 0
        """Bytes."""

    def add(self, data: bytes, *, begins: bool, from_ns: int, until_ns: int) -> None:
        """Write a block; when this returns, the operating system has it."""
        frame = zstd.compress(data, _LEVEL)
        length = _LABEL.size - 8
        label = _LABEL.pack(_SKIPPABLE, length, _MARK, _VERSION, begins, from_ns, until_ns, len(frame))
        self._file.write(label + frame)
        self._file.flush()
        self.written += len(label) + len(frame)


class Recording:
    """A recording to be read. TargetError where the file is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self.blocks = list(_labels(path, file))
        except OSError as error:
            raise TargetError(f"cannot read {path}: {error.strerror}") from None
        if not self.blocks:
            raise TargetError(f"{path} holds nothing yet: its recording was cut off before the first second")
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
        block = self.blocks[number]
        decompressor = zstd.ZstdDecompressor()
        with self.path.open("rb") as file:
            file.seek(block.offset)
            left = block.length
            while not decompressor.eof:
                compressed = file.read(min(left, _CHUNK)) if decompressor.needs_input else b""
                left -= len(compressed)
                if decompressor.needs_input and not compressed:
                    return
                try:
                    yield decompressor.decompress(compressed, _CHUNK)
                except zstd.ZstdError as error:
                    raise TargetError(f"{self.path} is damaged after byte {block.offset}: {error}") from None


def is_recording(path: str) -> bool:
    """Whether there is a file that begins as a recording does."""
    try:
        with Path(path).open("rb") as file:
            return _is_label(file.read(_LABEL.size))
    except (OSError, ValueError):
        return False


def _is_label(data: bytes) -> bool:
    return len(data) == _LABEL.size and data[8:16] == _MARK and data[:4] == _SKIPPABLE.to_bytes(4, "little")


def _labels(path: Path, file: BinaryIO) -> Iterator[Block]:
    offset, size = 0, os.fstat(file.fileno()).st_size
    while data := file.read(_LABEL.size):
        if not _is_label(data):
            if offset and len(data) < _LABEL.size:
                return  # cut off within a label
            raise TargetError(
                f"{path} is no recording: expected the mark of `asynctop record` at byte {offset}"
            )
        *_, version, begins, from_ns, until_ns, length = _LABEL.unpack(data)
        if version != _VERSION:
            raise TargetError(
                f"{path} is a recording of version {version}, expected {_VERSION}: use the asynctop it is of"
            )
        offset += _LABEL.size
        yield Block(bool(begins), from_ns, until_ns, offset, length)
        offset = min(offset + length, size)
        file.seek(offset)
