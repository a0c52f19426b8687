"""Connection: round trips whole, in pieces, cut short; order, direction, versions; what a sender may ask."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings

from asynctop_protocol import (
    VERSION,
    Chains,
    Connection,
    Hello,
    Inspect,
    Loops,
    Message,
    Named,
    Problem,
    ProtocolError,
    Reset,
    Role,
    Spawned,
    Stalls,
    Subscribe,
    Texts,
    Tick,
    Trace,
    VersionMismatch,
    Watch,
)
from asynctop_protocol.codec import TYPES, decode, encode
from asynctop_protocol.framing import frame
from asynctop_protocol.limits import MAX_FRAME_BYTES, MAX_ROWS, MAX_STACK, MAX_TEXT_BYTES, MAX_WATCHED

from .protocol_samples import CHAINS, CONSOLE_HELLO, MESSAGES, RUNTIME_HELLO, SAMPLES, STALLS, filled, plain


def sender_of(message: Message) -> Role:
    """The role that sends this message."""
    return Role.CONSOLE if isinstance(message, Subscribe | Inspect | Watch | Trace) else Role.RUNTIME


def pair(sender: Role) -> tuple[Connection, Connection]:
    """A sender that has greeted a receiver, and that receiver."""
    ends = {role: Connection(role) for role in Role}
    hellos = {Role.CONSOLE: CONSOLE_HELLO, Role.RUNTIME: RUNTIME_HELLO}
    receiver = ends[Role.RUNTIME if sender is Role.CONSOLE else Role.CONSOLE]
    assert receiver.receive(ends[sender].send(hellos[sender])) == [hellos[sender]]
    return ends[sender], receiver


def raw(*value: Any) -> bytes:
    return frame(msgpack.packb(value))


@settings(max_examples=300)
@given(MESSAGES)
def test_payload_round_trip(message: Message) -> None:
    (payload,) = encode(message, MAX_FRAME_BYTES)
    assert plain(decode(payload)) == plain(message)


def test_samples_hold_every_message() -> None:
    assert [type(sample) for sample in SAMPLES] == list(TYPES.values())


@pytest.mark.parametrize("message", SAMPLES[1:], ids=lambda m: type(m).__name__)
def test_whole_byte_by_byte_and_cut_short(message: Message) -> None:
    sender, whole = pair(sender_of(message))
    data = sender.send(message)
    assert plain(whole.receive(data)) == plain([message])
    pieces = pair(sender_of(message))[1]
    for index in range(len(data) - 1):
        assert pieces.receive(data[index : index + 1]) == []
        with pytest.raises(ProtocolError, match="rest of a frame"):
            pieces.end()
    assert plain(pieces.receive(data[-1:])) == plain([message])
    pieces.end()


@pytest.mark.parametrize("message", SAMPLES, ids=lambda m: type(m).__name__)
def test_truncated_or_longer_payload(message: Message) -> None:
    (payload,) = encode(message, MAX_FRAME_BYTES)
    for length in range(len(payload)):
        with pytest.raises(ProtocolError):
            decode(payload[:length])
    with pytest.raises(ProtocolError, match="1 more bytes"):
        decode(payload + b"\xc0")


def test_several_messages_in_one_read_and_the_start_of_another() -> None:
    sender, receiver = pair(Role.RUNTIME)
    data = sender.send(Reset()) + sender.send(Tick(1)) + sender.send(Tick(2))
    assert receiver.receive(data[:-3]) == [Reset(), Tick(1)]
    assert receiver.receive(data[-3:]) == [Tick(2)]


def test_what_a_message_was_read_from_can_be_kept() -> None:
    sender, receiver = pair(Role.RUNTIME)
    unknown = raw(99, {})
    data = sender.send(Reset()) + unknown + sender.send(Tick(1))
    read = receiver.receive_payloads(data)
    assert [message for message, _ in read] == [Reset(), Tick(1)]
    assert [decode(payload) for _, payload in read] == [Reset(), Tick(1)]


def test_received_columns_are_typed_views() -> None:
    sender, receiver = pair(Role.RUNTIME)
    (message,) = receiver.receive(sender.send(Spawned([1], [-(2**15)], [2**31 - 1], [2**63 - 1], [-(2**63)])))
    columns = [getattr(message, field.name) for field in dataclasses.fields(Spawned)]
    assert all(isinstance(column, memoryview) for column in columns)
    assert [column.format for column in columns] == ["b", "h", "i", "q", "q"]


def test_empty_columns() -> None:
    sender, receiver = pair(Role.CONSOLE)
    (message,) = receiver.receive(sender.send(Inspect(3, [])))
    assert isinstance(message, Inspect)
    assert len(message.tasks) == 0


def test_peer_is_its_hello() -> None:
    receiver = Connection(Role.CONSOLE)
    assert receiver.peer is None
    receiver.receive(Connection(Role.RUNTIME).send(RUNTIME_HELLO))
    assert receiver.peer == RUNTIME_HELLO


def test_version_mismatch_says_both_versions_and_stays() -> None:
    receiver = Connection(Role.CONSOLE)
    hello = dataclasses.replace(RUNTIME_HELLO, protocol=(VERSION[0] + 1, 4))
    data = Connection(Role.RUNTIME).send(hello)
    with pytest.raises(
        VersionMismatch, match=r"protocol 1\.0, the runtime speaks 2\.4: install the same"
    ) as first:
        receiver.receive(data)
    with pytest.raises(VersionMismatch) as second:
        receiver.receive(b"")
    assert first.value is second.value
    assert receiver.peer is None
    with pytest.raises(VersionMismatch):
        receiver.end()


def test_newer_minor_version_is_welcome() -> None:
    receiver = Connection(Role.CONSOLE)
    hello = dataclasses.replace(RUNTIME_HELLO, protocol=(VERSION[0], VERSION[1] + 1))
    assert receiver.receive(Connection(Role.RUNTIME).send(hello)) == [hello]


def test_unknown_fields_and_messages_are_ignored_and_missing_fields_default() -> None:
    receiver = pair(Role.RUNTIME)[1]
    deep: list[Any] = []
    for _ in range(20):
        deep = [deep, {"a": b"b", "c": None}, 1.5]
    assert receiver.receive(raw(16, {"new": deep, "at_ns": 5})) == [Tick(5)]
    assert receiver.receive(raw(99, {"new": deep}) + raw(16, {"at_ns": 6})) == [Tick(6)]


@pytest.mark.parametrize(
    "first", [raw(99, {}), raw(5, {}), raw(16, {"at_ns": 1})], ids=["unknown", "reset", "tick"]
)
def test_hello_comes_first(first: bytes) -> None:
    with pytest.raises(ProtocolError, match="expected one Hello before anything else"):
        Connection(Role.CONSOLE).receive(first)


def test_second_hello() -> None:
    sender, receiver = pair(Role.RUNTIME)
    with pytest.raises(ValueError, match="expected one Hello"):
        sender.send(RUNTIME_HELLO)
    with pytest.raises(ProtocolError, match="found Hello"):
        receiver.receive(Connection(Role.RUNTIME).send(RUNTIME_HELLO))


def test_hello_of_our_own_role() -> None:
    with pytest.raises(ProtocolError, match="expected the Hello of a runtime, found that of a console"):
        Connection(Role.CONSOLE).receive(Connection(Role.CONSOLE).send(CONSOLE_HELLO))
    with pytest.raises(ValueError, match="expected the Hello of a console"):
        Connection(Role.CONSOLE).send(RUNTIME_HELLO)


@pytest.mark.parametrize("message", SAMPLES[2:], ids=lambda m: type(m).__name__)
def test_wrong_direction(message: Message) -> None:
    wrong = Role.RUNTIME if sender_of(message) is Role.CONSOLE else Role.CONSOLE
    sender, receiver = pair(wrong)
    with pytest.raises(ValueError, match=f"that a {wrong} sends"):
        sender.send(message)
    (payload,) = encode(message, MAX_FRAME_BYTES)
    with pytest.raises(ProtocolError, match=f"that a {wrong} sends, found {type(message).__name__}"):
        receiver.receive(frame(payload))


@pytest.mark.parametrize("role", Role)
def test_problem_goes_both_ways(role: Role) -> None:
    sender, receiver = pair(role)
    assert receiver.receive(sender.send(Problem("bye"))) == [Problem("bye")]


def test_first_sent_is_hello_and_a_failed_hello_can_be_sent_again() -> None:
    sender = Connection(Role.RUNTIME)
    with pytest.raises(ValueError, match="found Tick"):
        sender.send(Tick(1))
    with pytest.raises(OverflowError):
        sender.send(Hello(Role.RUNTIME, pid=2**63))
    assert sender.send(RUNTIME_HELLO)


def test_no_text_fails_and_long_ones_are_cut() -> None:
    sender, receiver = pair(Role.RUNTIME)
    sent = [
        "caf\udce9",
        "x" * (MAX_TEXT_BYTES + 1),
        "é" * MAX_TEXT_BYTES,
        "x" * MAX_TEXT_BYTES,
        "\udce9" * 12000,
    ]
    (message,) = receiver.receive(sender.send(Texts(1, sent)))
    assert isinstance(message, Texts)
    assert message.texts[0] == r"caf\udce9"
    assert message.texts[1] == "x" * (MAX_TEXT_BYTES - 3) + "…"
    assert all(len(text.encode()) <= MAX_TEXT_BYTES and text.endswith("…") for text in message.texts[1:3])
    assert message.texts[3] == sent[3]
    assert message.texts[4].endswith("…")


def test_rows_are_split_by_count() -> None:
    sender, receiver = pair(Role.RUNTIME)
    rows = 2 * MAX_ROWS + 1
    named = receiver.receive(sender.send(Named(range(rows), [str(i) for i in range(rows)])))
    assert [len(m.id) for m in named if isinstance(m, Named)] == [MAX_ROWS, MAX_ROWS, 1]
    texts = receiver.receive(sender.send(Texts(5, ["t"] * rows)))
    assert [m.first for m in texts if isinstance(m, Texts)] == [5, 5 + MAX_ROWS, 5 + 2 * MAX_ROWS]


def test_rows_are_split_by_bytes() -> None:
    sender, receiver = pair(Role.RUNTIME)
    sent = [str(i) + "x" * 60_000 for i in range(201)]
    got = receiver.receive(sender.send(Texts(1, sent)))
    assert len(got) > 1
    assert [text for m in got if isinstance(m, Texts) for text in m.texts] == sent


def test_only_the_last_slice_of_chains_is_done() -> None:
    sender, receiver = pair(Role.RUNTIME)
    got = receiver.receive(sender.send(Chains(1, CHAINS.chains[:1] * (MAX_ROWS + 1), True)))
    assert [m.done for m in got if isinstance(m, Chains)] == [False, True]


def test_long_stacks_keep_the_innermost_frames() -> None:
    stall = dataclasses.replace(
        STALLS.stalls[0], stack=[("f", "f.py", line) for line in range(MAX_STACK + 1)]
    )
    sender, receiver = pair(Role.RUNTIME)
    (got,) = receiver.receive(sender.send(Stalls([stall])))
    assert isinstance(got, Stalls)
    assert [line for _, _, line in got.stalls[0].stack] == list(range(1, MAX_STACK + 1))


def test_rows_that_belong_together_are_not_split() -> None:
    with pytest.raises(ValueError, match=f"Inspect holds at most {MAX_ROWS} rows, found {MAX_ROWS + 1}"):
        pair(Role.CONSOLE)[0].send(Inspect(1, range(MAX_ROWS + 1)))
    with pytest.raises(ValueError, match=f"Watch holds at most {MAX_WATCHED} rows"):
        pair(Role.CONSOLE)[0].send(Watch(range(MAX_WATCHED + 1)))
    many = [""] * (MAX_ROWS + 1)
    loops = filled(Loops, range(MAX_ROWS + 1), thread=many, runtime=many, current=many)
    with pytest.raises(ValueError, match="Loops holds at most"):
        pair(Role.RUNTIME)[0].send(loops)


def test_contradicting_rows_are_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="equal numbers of rows"):
        pair(Role.RUNTIME)[0].send(Named([1, 2], ["one"]))
