"""Columns: widths, both byte orders, and what does not fit."""

from __future__ import annotations

import sys
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asynctop_protocol import ProtocolError, column, columns, numbers


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_smallest_width_at_and_beyond_each_bound(bits: int) -> None:
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    assert len(column([0, low])) == len(column([high, 0])) == bits // 4
    for beyond in (low - 1, high + 1):
        if bits < 64:
            assert len(column([0, beyond])) == bits // 2
        else:
            with pytest.raises(OverflowError):
                column([0, beyond])


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_round_trip_from_list_array_and_view(items: list[int]) -> None:
    data = column(items)
    assert data == column(array("q", items)) == column(memoryview(array("q", items)))
    assert list(numbers(data, len(items))) == items


def test_wire_is_signed_little_endian() -> None:
    assert column([-2, 258]) == b"\xfe\xff\x02\x01"
    view = numbers(b"\xfe\xff\x02\x01", 2)
    assert (view.format, list(view)) == ("h", [-2, 258])


def test_view_shares_the_memory_of_the_bytes() -> None:
    data = column([1, 2, 3])
    assert numbers(data, 3).obj is data


def test_empty_column() -> None:
    assert column([]) == b""
    assert (len(numbers(b"", 0)), numbers(b"", 0).format) == (0, "b")


@pytest.mark.parametrize(("size", "rows"), [(3, 1), (1, 0), (0, 1), (5, 2), (16, 1), (4, -4), (1, 2)])
def test_no_width_fits(size: int, rows: int) -> None:
    with pytest.raises(ProtocolError, match="expected"):
        numbers(bytes(size), rows)


def test_not_an_integer() -> None:
    with pytest.raises(TypeError):
        column([1.5])  # type: ignore[list-item]


def test_the_other_byte_order_swaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_SWAP", sys.byteorder == "little")
    assert column([1, 1000]) == b"\x00\x01\x03\xe8"
    assert list(numbers(b"\x00\x01\x03\xe8", 2)) == [1, 1000]
