"""Where sockets are: both ends must compute the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asynctop_protocol import checked_socket_path, pid_of, socket_directory, socket_name
from asynctop_protocol.paths import MAX_SOCKET_PATH_BYTES


@pytest.mark.parametrize(
    ("environ", "directory"),
    [
        ({"ASYNCTOP_DIR": "/a", "XDG_RUNTIME_DIR": "/x", "TMPDIR": "/t"}, "/a"),
        ({"ASYNCTOP_DIR": "", "XDG_RUNTIME_DIR": "/x", "TMPDIR": "/t"}, "/x/asynctop"),
        ({"XDG_RUNTIME_DIR": "x", "TMPDIR": "/t"}, "/t/asynctop-7"),
        ({"XDG_RUNTIME_DIR": "", "TMPDIR": "t"}, "/tmp/asynctop-7"),
        ({}, "/tmp/asynctop-7"),
    ],
)
def test_directory(environ: dict[str, str], directory: str) -> None:
    assert socket_directory(environ, 7) == directory


def test_relative_directory_is_refused() -> None:
    with pytest.raises(ValueError, match="expected an absolute path in ASYNCTOP_DIR, found 'here'"):
        socket_directory({"ASYNCTOP_DIR": "here"}, 7)


@given(st.integers(1, 2**62))
def test_name_and_back(pid: int) -> None:
    assert pid_of(socket_name(pid)) == pid


@pytest.mark.parametrize(
    "name", ["", ".sock", "0.sock", "01.sock", "-1.sock", "1.sock.", "1.sock\n", "x1.sock", "²1.sock"]
)
def test_other_names_have_no_pid(name: str) -> None:
    assert pid_of(name) is None


def test_longest_path() -> None:
    fits = "/" + "é" * ((MAX_SOCKET_PATH_BYTES - 1) // 2)
    assert checked_socket_path(fits) == fits
    with pytest.raises(ValueError, match=r"at most 103 bytes, found 104: .*ASYNCTOP_DIR") as caught:
        checked_socket_path(fits + "x")
    assert "\n" not in str(caught.value)
