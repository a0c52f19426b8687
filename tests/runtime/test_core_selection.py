"""Which core a process uses, and what it says where that is not the C core."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType

import pytest

import asynctop
from asynctop.core import Core, make_core
from asynctop.core.python.core import PythonCore

NATIVE = "asynctop.core.native.core"


class FakeNativeCore(PythonCore):
    name = "c"


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> None:
    """The C core is there."""
    module = ModuleType(NATIVE)
    module.NativeCore = FakeNativeCore  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, NATIVE, module)


@pytest.fixture
def not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """The C core cannot be imported."""
    monkeypatch.setitem(sys.modules, NATIVE, None)


@pytest.fixture
def make(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, faults: list[Exception]
) -> Callable[[str | None], Core]:
    """Makes a core with this value of ASYNCTOP_CORE, None for none."""
    caplog.set_level(logging.INFO, "asynctop")

    def make(value: str | None) -> Core:
        if value is None:
            monkeypatch.delenv("ASYNCTOP_CORE", raising=False)
        else:
            monkeypatch.setenv("ASYNCTOP_CORE", value)
        return make_core(50_000_000, faults.append)

    return make


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(("value", "name"), [(None, "c"), ("", "c"), ("c", "c"), ("python", "python")])
def test_where_there_is_a_c_core(
    make: Callable[[str | None], Core], caplog: pytest.LogCaptureFixture, value: str | None, name: str
) -> None:
    assert make(value).name == name
    assert caplog.records == []


@pytest.mark.usefixtures("not_built")
@pytest.mark.parametrize("value", [None, ""])
def test_falling_back_says_why(
    make: Callable[[str | None], Core], caplog: pytest.LogCaptureFixture, value: str | None
) -> None:
    assert make(value).name == "python"
    ((logger, level, text),) = caplog.record_tuples
    assert (logger, level) == ("asynctop", logging.INFO)
    assert "using the Python core" in text
    assert NATIVE in text


@pytest.mark.usefixtures("not_built")
def test_what_was_asked_for_needs_no_reason(
    make: Callable[[str | None], Core], caplog: pytest.LogCaptureFixture
) -> None:
    assert make("python").name == "python"
    assert caplog.records == []


@pytest.mark.usefixtures("not_built")
def test_asking_for_one_that_was_not_built_says_how_to_get_it(make: Callable[[str | None], Core]) -> None:
    with pytest.raises(
        ValueError, match=r'is "c", but .*asynctop\.core\.native.*install a C compiler'
    ) as raised:
        make("c")
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("value", ["fortran", "C", " c"])
def test_one_that_nobody_knows(make: Callable[[str | None], Core], value: str) -> None:
    with pytest.raises(ValueError, match=f'ASYNCTOP_CORE is "{value}": expected "c" or "python"'):
        make(value)


@pytest.mark.usefixtures("not_built")
def test_a_program_that_cannot_have_what_it_asked_for_is_left_as_it_was(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ASYNCTOP_CORE", "c")
    assert not asynctop.install()
    ((_, level, text),) = caplog.record_tuples
    assert level == logging.WARNING
    assert text.startswith('not instrumented: ASYNCTOP_CORE is "c", but')


def test_whoever_asks_for_python_never_loads_the_extension() -> None:
    code = (
        "import sys; from asynctop.core import make_core; core = make_core(50_000_000, print); "
        "print(core.name, *(name for name in sys.modules if 'native' in name))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import os; os.environ['ASYNCTOP_CORE'] = 'python'; {code}"],
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("python\n", "")
