"""Hostile peers: whatever arrives, ProtocolError is all that comes out, and memory stays bounded."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asynctop_protocol import Connection, Named, ProtocolError, Role
from asynctop_protocol.codec import decode, encode
from asynctop_protocol.framing import Deframer, frame
from asynctop_protocol.limits import (
    MAX_BUCKETS,
    MAX_COUNTERS,
    MAX_FIELDS,
    MAX_FRAME_BYTES,
    MAX_REQUEST_BYTES,
    MAX_ROWS,
    MAX_STACK,
    MAX_TEXT_BYTES,
    MAX_WATCHED,
)

from .protocol_samples import CONSOLE_HELLO, RUNTIME_HELLO, SAMPLES, plain

Ext = msgpack.ExtType
PAYLOADS = [payload for sample in SAMPLES for payload in encode(sample, MAX_FRAME_BYTES)]
HELLOS = {Role.CONSOLE: CONSOLE_HELLO, Role.RUNTIME: RUNTIME_HELLO}


def greeted(role: Role) -> Connection:
    """A connection that has received the other role's hello."""
    other = Role.RUNTIME if role is Role.CONSOLE else Role.CONSOLE
    connection = Connection(role)
    connection.receive(Connection(other).send(HELLOS[other]))
    return connection


def raw(number: object, fields: object) -> bytes:
    data: bytes = msgpack.packb([number, fields])
    return data


def feed(connection: Connection, chunks: list[bytes]) -> None:
    """Give it everything; check that an error is a ProtocolError and stays the same."""
    for chunk in chunks:
        try:
            connection.receive(chunk)
        except ProtocolError as error:
            first = error
            break
    else:
        with contextlib.suppress(ProtocolError):
            connection.end()
        return
    assert str(first).isprintable()
    with pytest.raises(ProtocolError) as again:
        connection.receive(b"")
    assert again.value is first


@settings(max_examples=400)
@given(st.sampled_from(Role), st.lists(st.binary(max_size=60), max_size=4))
def test_random_streams(role: Role, chunks: list[bytes]) -> None:
    feed(Connection(role), chunks)
    feed(greeted(role), chunks)


@settings(max_examples=400)
@given(st.sampled_from(Role), st.sampled_from(PAYLOADS), st.data())
def test_mutated_frames(role: Role, payload: bytes, data: st.DataObject) -> None:
    mutated = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(mutated)))
        mutated[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    feed(greeted(role), [frame(bytes(mutated))])


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=400)
@given(st.integers(0, 17), st.data())
def test_wrong_types_in_known_fields(number: int, data: st.DataObject) -> None:
    fields: dict[str, Any] = {}
    if 1 <= number <= len(PAYLOADS):
        fields = msgpack.unpackb(PAYLOADS[number - 1])[1]
    for name in data.draw(st.sets(st.sampled_from([*fields, "unknown"]))):
        fields[name] = data.draw(JUNK)
    try:
        message = decode(raw(number, fields))
    except ProtocolError:
        return
    if message is not None:
        (payload,) = encode(message, MAX_FRAME_BYTES)
        assert plain(decode(payload)) == plain(message)


@pytest.mark.parametrize(
    ("role", "limit"), [(Role.RUNTIME, MAX_REQUEST_BYTES), (Role.CONSOLE, MAX_FRAME_BYTES)]
)
def test_frame_limit(role: Role, limit: int) -> None:
    assert greeted(role).receive(limit.to_bytes(4, "big")) == []
    for connection in (Connection(role), greeted(role)):
        with pytest.raises(ProtocolError, match=f"at most {limit} bytes, found one of {limit + 1}"):
            connection.receive((limit + 1).to_bytes(4, "big"))


def test_a_frame_of_the_largest_size_and_an_empty_one() -> None:
    deframer = Deframer(100)
    assert list(deframer.feed(frame(b"x" * 100) + frame(b""))) == [b"x" * 100, b""]


def column(rows: int, width: int = 1) -> Any:
    return Ext(width, bytes(rows * width))


LIMITS: list[tuple[str, Callable[[int], bytes], int]] = [
    ("rows", lambda n: raw(4, {"request": 1, "tasks": column(n, 8)}), MAX_ROWS),
    ("narrow rows", lambda n: raw(4, {"request": 1, "tasks": column(n)}), MAX_ROWS),
    ("watched tasks", lambda n: raw(18, {"tasks": column(n)}), MAX_WATCHED),
    ("items", lambda n: raw(6, {"first": 1, "texts": [""] * n}), MAX_ROWS),
    ("text", lambda n: raw(2, {"text": "x" * n}), MAX_TEXT_BYTES),
    ("stack", lambda n: raw(15, chains(frames=[["f", "f.py", 1]] * n)), MAX_STACK),
    ("buckets", lambda n: raw(12, totals(histograms=[column(n)])), MAX_BUCKETS),
    ("counters", lambda n: raw(16, {"at_ns": 1, "dropped": {str(i): i for i in range(n)}}), MAX_COUNTERS),
    ("fields", lambda n: raw(5, {str(i): i for i in range(n)}), MAX_FIELDS),
]


def chains(**changes: Any) -> dict[str, Any]:
    return {"request": 1, "chains": [{"task": 1, "frames": [], **changes}], "done": True}


def totals(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = msgpack.unpackb(PAYLOADS[11])[1]
    return {name: column(1) for name in fields} | changes


@pytest.mark.parametrize(("make", "limit"), [case[1:] for case in LIMITS], ids=[case[0] for case in LIMITS])
def test_limits_at_and_beyond_the_bound(make: Callable[[int], bytes], limit: int) -> None:
    assert decode(make(limit)) is not None
    with pytest.raises(ProtocolError, match=r"at most|exceeds|buckets"):
        decode(make(limit + 1))


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"", "expected msgpack"),
        (b"\x05", "expected msgpack"),
        (
            raw(16, {"at_ns": 2**63}),
            "Tick.at_ns: expected an integer within int64, found 9223372036854775808",
        ),
        (raw(16, {"at_ns": True}), "Tick.at_ns: expected an integer within int64, found True"),
        (raw(16, {"at_ns": [1]}), "Tick.at_ns: expected an integer within int64, found a container"),
        (raw(16, {}), "Tick: expected the fields at_ns, found none"),
        (raw(2, {"text": b"bin"}), "Problem.text: expected a text, found b'bin'"),
        (b"\x92\x02\x81\xa4text\xa1\xff", "Problem.text: expected msgpack .* UnicodeDecodeError"),
        (b"\x92\x02\x82\xa4text\xa0\xa4text\xa0", "Problem.text: expected it once"),
        (b"\x92\x02\x81\x01\xa0", "expected a text, found 1"),
        (b"\x93\x05\x80\x80", r"expected at most 2 items, found 3"),
        (b"\x91\x05", r"expected \[type, fields\]"),
        (raw(1, {"role": "spy"}), "Hello.role: expected a Role, found 'spy'"),
        (raw(1, {"role": "console", "protocol": [1]}), "Hello.protocol: expected \\[major, minor\\]"),
        (raw(4, {"request": 1, "tasks": Ext(3, b"abc")}), "width 1, 2, 4 or 8, found an extension of type 3"),
        (raw(4, {"request": 1, "tasks": Ext(2, b"abc")}), "Inspect.tasks: expected 1 integers"),
        (raw(4, {"request": 1, "tasks": msgpack.Timestamp(1)}), "expected a column, found Timestamp"),
        (raw(9, {"id": column(2), "names": ["one"]}), "Named: expected equal numbers of rows"),
        (raw(12, totals(polls=column(2), histograms=[column(1)])), "Totals: expected equal numbers of rows"),
        (
            raw(11, dict.fromkeys(("id", "outcome", "ended_ns", "exception"), column(1))),
            "expected a Outcome, found 0",
        ),
        (raw(15, chains(frames=[["f", "f.py"]])), r"Chain.frames: expected \[function, file, line\]"),
        (raw(15, chains(waiting_on=1)), "Chain.waiting_on: expected msgpack"),
    ],
)
def test_errors_say_what_was_expected_and_found(payload: bytes, error: str) -> None:
    with pytest.raises(ProtocolError, match=error):
        decode(payload)


def _peak(action: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_what_is_announced_is_not_allocated() -> None:
    connection = greeted(Role.CONSOLE)
    assert _peak(lambda: connection.receive(b"\xff\xff\xff\xff")) < 1_000_000
    nested = b"\xdc\x10\x00" * 400  # 400 arrays of 4096 pointers each would be 13 MB
    for start in (
        b"\x92\x10\x81\xa5at_ns",
        b"\x92\x06\x82\xa5first\x01\xa5texts",
        b"\x92\x10\x81\xa3new",
        b"\x92\x63",
        b"",
    ):
        assert _peak(lambda start=start: decode(start + nested)) < 1_000_000  # type: ignore[misc]
    assert _peak(lambda: decode(b"\x92\x02\x81\xa4text\xdb\xff\xff\xff\xff")) < 1_000_000


def test_an_unfinished_frame_is_all_that_is_kept() -> None:
    connection = greeted(Role.RUNTIME)
    announced = MAX_REQUEST_BYTES.to_bytes(4, "big")
    received = announced + bytes(MAX_REQUEST_BYTES)
    assert _peak(
        lambda: [connection.receive(received[i : i + 1000]) for i in range(0, len(received), 1000)]
    ) < (4 * MAX_REQUEST_BYTES)


def test_a_full_frame_unfolds_into_tens_of_megabytes_at_most() -> None:
    chain = {"task": 1, "frames": [["", "", 1]] * MAX_STACK}
    payload = raw(15, {"request": 1, "chains": [chain] * 1018, "done": 0})
    assert MAX_FRAME_BYTES * 0.95 < len(payload) <= MAX_FRAME_BYTES
    assert _peak(lambda: decode(payload)) < 100 << 20


def test_msgpack_without_its_c_extension_behaves_the_same() -> None:
    """The same file, in an interpreter that has only msgpack's Python decoder."""
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            __file__,
            "-k",
            "limits or errors or announced",
        ],
        env={**os.environ, "MSGPACK_PUREPYTHON": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-2000:]


def test_names_survive_a_large_message() -> None:
    sample = Named(range(MAX_ROWS), ["n" * 100] * MAX_ROWS)
    (payload,) = encode(sample, MAX_FRAME_BYTES)
    assert plain(decode(payload)) == plain(sample)
