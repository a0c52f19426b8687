"""Waiting for a module: it is imported as if nobody waited."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from asynctop.hooks.imports import OnImport

NAME = "awaited_module"


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / f"{NAME}.py").write_text("value = 1\n")
    calls: list[str] = []
    waiting = OnImport(NAME, lambda: calls.append("then"))
    waiting.start()
    yield calls
    waiting.stop()
    sys.modules.pop(NAME, None)


def test_called_once_and_no_trace_in_the_module(called: list[str]) -> None:
    module = importlib.import_module(NAME)
    assert called == ["then"]
    assert module.__spec__ is not None
    assert type(module.__loader__) is type(module.__spec__.loader)
    assert type(module.__loader__).__name__ == "SourceFileLoader"
    assert not any(isinstance(each, OnImport) for each in sys.meta_path)


def test_a_program_that_only_asks_may_import_later(called: list[str]) -> None:
    spec = importlib.util.find_spec(NAME)
    assert spec is not None
    assert spec.loader is not None
    assert spec.loader.get_filename() == spec.origin  # type: ignore[attr-defined]
    assert called == []
    importlib.import_module(NAME)
    assert called == ["then"]


def test_an_import_that_fails_fails_as_it_is_and_may_be_tried_again(
    called: list[str], tmp_path: Path
) -> None:
    (tmp_path / f"{NAME}.py").write_text("raise ImportError('not today, whatever you do')\n")
    with pytest.raises(ImportError, match="not today"):
        importlib.import_module(NAME)
    assert called == []
    (tmp_path / f"{NAME}.py").write_text("value = 1\n")
    importlib.invalidate_caches()
    importlib.import_module(NAME)
    assert called == ["then"]


def test_a_module_that_there_is_not(called: list[str], tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.py").unlink()
    with pytest.raises(ModuleNotFoundError, match=NAME):
        importlib.import_module(NAME)
    assert called == []
