"""The demo beside the console: started, found, ended with it. A small script stands in for the runtime."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asynctop_console.demo import playing
from asynctop_console.source.target import TargetError, is_running
from asynctop_demos import Demo

STAND_IN = """
import os, signal, socket, sys
assert sys.argv[1] == "run"
exec(open(sys.argv[2]).read())
"""
LISTENS = """
listener = socket.socket(socket.AF_UNIX)
listener.bind(os.path.join(os.environ["ASYNCTOP_DIR"], f"{os.getpid()}.sock"))
signal.pause()
"""


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m asynctop` is the stand-in, and nothing is left behind elsewhere."""
    (tmp_path / "s").mkdir(mode=0o700)
    (tmp_path / "asynctop.py").write_text(STAND_IN)
    monkeypatch.setenv("ASYNCTOP_DIR", str(tmp_path / "s"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def demo(tmp_path: Path, source: str, needs: tuple[str, ...] = ()) -> Demo:
    path = tmp_path / "play.py"
    path.write_text(source)
    return Demo("play", path, "a play", needs)


def test_a_demo_runs_as_long_as_the_console(tmp_path: Path) -> None:
    with playing(demo(tmp_path, LISTENS)) as target:
        assert is_running(target.pid)
        assert os.getpgid(target.pid) == target.pid
        assert list(tmp_path.glob("*.log")) == []
    assert not is_running(target.pid)


def test_a_demo_ends_when_the_console_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), playing(demo(tmp_path, LISTENS)) as target:
        raise RuntimeError
    assert not is_running(target.pid)


def test_a_demo_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="the demo play ended at once: ValueError: no stage") as error:
        with playing(demo(tmp_path, "raise ValueError('no stage')")):
            pass
    (log,) = tmp_path.glob("*.log")
    assert f"(see {log})" in str(error.value)
    assert "Traceback" in log.read_text()


def test_a_demo_whose_requirements_are_missing_says_which(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"needs no_such_module: `pip install 'asynctop\[demos\]'`"):
        with playing(demo(tmp_path, "", needs=("sys", "no_such_module"))):
            pass
