"""The container of recordings: what a program has sent, in a file.

A recording is a series of zstd frames, the blocks, so `zstd -dc FILE` gives the stream of the wire. Before
each stands one of zstd's skippable frames, the label: what the block holds, and how long it is. So a reader
hops from label to label and decompresses nothing that it does not need.

The polls of a trace may have blocks of their own, each after the one that has the rest of the same time: the
`History` of each batch, and a copy of its `Tick`. Who does not look at single polls passes over them.

A block that *begins* starts with a program's hello, and with all its state: one can start reading there. What
follows up to the next such block is the stream of one connection. A file that was cut off in the middle of a
block gives what is left of that.

Who writes a block needs no compressor: zstd's frames may hold data as they are (`stored`).
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

RECORDING_VERSION = 1
"""Of this format."""

_LABEL = Struct("<II8sBBqqQ")
"""A skippable frame: its magic number and length; and in it our own mark, the version of this format, whether
the block begins (1) or has polls alone (2), the time of its first and last tick, and the length of its zstd
frame."""
LABEL_BYTES = _LABEL.size
_SKIPPABLE = 0x184D2A5A
_MARK = b"asynctop"
_BEGINS, _POLLS = 1, 2

_STORED_HEAD = b"\x28\xb5\x2f\xfd" + bytes((0, 7 << 3))
"""Of a zstd frame (RFC 8878, 3.1.1): its magic number, no options, and a window of 128 kB."""
_MOST_STORED = 1 << 17
"""Bytes of a zstd block: no more than the window."""


class Label(NamedTuple):
    """What a block holds."""

    version: int
    begins: bool
    """Whether it starts with a hello."""
    from_ns: int
    until_ns: int
    """Times of its first and last tick, of the program's clock."""
    length: int
    """Of its zstd frame, in bytes. The file may end before."""
    polls: bool = False
    """Whether it has nothing but the polls of what the block before it holds."""


def label(begins: bool, from_ns: int, until_ns: int, length: int, *, polls: bool = False) -> bytes:
    """What stands before a block."""
    inside, what = LABEL_BYTES - 8, begins * _BEGINS | polls * _POLLS
    return _LABEL.pack(_SKIPPABLE, inside, _MARK, RECORDING_VERSION, what, from_ns, until_ns, length)


def read_label(data: bytes) -> Label | None:
    """What stands before a block; None where it is something else, or cut off."""
    if len(data) != LABEL_BYTES:
        return None
    magic, _, mark, version, what, from_ns, until_ns, length = _LABEL.unpack(data)
    if (magic, mark) != (_SKIPPABLE, _MARK):
        return None
    return Label(version, bool(what & _BEGINS), from_ns, until_ns, length, bool(what & _POLLS))


def stored(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The zstd frame that holds these pieces as they are."""
    yield _STORED_HEAD
    for piece in pieces:
        for start in range(0, len(piece), _MOST_STORED):
            part = piece[start : start + _MOST_STORED]
            yield (len(part) << 3).to_bytes(3, "little")
            yield part
    yield (1).to_bytes(3, "little")  # an empty block, the last one
