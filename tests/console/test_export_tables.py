"""The snapshot's tables as CSV, and the command that writes exports."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from asynctop_console.cli import main
from asynctop_console.export.tables import COLUMNS
from asynctop_console.observe import replayed
from asynctop_console.snapshot import snapshot
from asynctop_console.source.recording import Recording
from asynctop_protocol.messages import Chains, Message, Stalls, Tick, WakerSource

from .program import HOSTILE, SECOND, chain, hello, lock, named, polled, spawned, stall
from .screens import NOW, three
from .test_recording import LATER, SECTION, write


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCTOP_CONFIG", os.devnull)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "a.rec", SECTION, LATER)


def rows(path: Path, capsys: pytest.CaptureFixture[str], table: str = "") -> list[dict[str, str]]:
    assert main(["export", str(path), "--as", "csv", *(["--table", table] if table else [])]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return list(csv.DictReader(out.splitlines(), strict=True))


def test_json_is_the_snapshot_of_the_end(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(path), "--as", "json"]) == 0
    recording = Recording(path)
    assert json.loads(capsys.readouterr().out).keys() == snapshot(replayed(recording, NOW)).keys()


def test_what_was_before_the_last_connection_is_told_too(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(path), "--as", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["observed"] == {"from": NOW, "until": NOW + 20 * SECOND}
    assert len(found["stalls"]) == 1


def test_tasks_as_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batch: list[Message] = [
        polled([1], polls=6, waker_source=WakerSource.TASK, waker_task=2),
        Chains(1, [chain(1, lock(5))], done=True),
        Tick(NOW + SECOND),
    ]
    main_, fetch, _ = rows(write(tmp_path / "a.rec", [three(), batch]), capsys)
    assert tuple(main_) == COLUMNS["tasks"]
    expected = {
        "id": "1",
        "name": "main",
        "kind": "app.handler",
        "polls": "6",
        "parent": "",
        "last_waker.source": "task",
        "last_waker.name": "fetch",
        "await_chain": "handler() at /srv/app/web.py:41 > "
        "acquire() at /usr/lib/python3.13/asyncio/locks.py:9",
        "waiting_on.type": "lock",
    }
    assert expected.items() <= main_.items()
    assert (fetch["waiting_on.type"], fetch["await_chain"]) == ("", "")


@pytest.mark.parametrize("table", COLUMNS)
def test_every_table_has_its_columns(
    table: str, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = write(tmp_path / "b.rec", [three(), [Stalls([stall()]), Tick(NOW + SECOND)]])
    found = rows(full, capsys, table)
    assert found
    assert tuple(found[0]) == COLUMNS[table]
    bare = write(tmp_path / "c.rec", [[hello(), Tick(NOW)]])
    assert rows(bare, capsys, table) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_names(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batch: list[Message] = [spawned([9]), named([9], [name]), Tick(NOW + SECOND)]
    (found,) = (row for row in rows(write(tmp_path / "a.rec", [three(), batch]), capsys) if row["id"] == "9")
    assert found["name"].isprintable()
    assert not found["name"].startswith("=")
    assert found["spawned_at"] == "/srv/app/main.py:12"


def test_an_export_goes_into_a_new_file(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["export", str(path), "--as", "speedscope", "-o", str(out)]
    assert main(command) == 0
    assert capsys.readouterr() == ("", "")
    written = out.read_bytes()
    assert json.loads(written)["profiles"]
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    assert out.read_bytes() == written


def test_half_an_export_is_none(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(path.read_bytes())
    data[-20] ^= 0xFF
    path.write_bytes(data)
    out = tmp_path / "out"
    assert main(["export", str(path), "--as", "perfetto", "-o", str(out)]) == 2
    assert "is damaged" in capsys.readouterr().err
    assert not out.exists()


def test_what_one_should_know_is_told_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.rec", [three()])
    assert main(["export", str(path), "--as", "perfetto", "-o", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err.startswith("asynctop: the recording has no single polls")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "the following arguments are required: --as"),
        (["--as", "svg"], "invalid choice: 'svg'"),
        (["--as", "csv", "--table", "bogus"], "there is no table 'bogus', expected one of: tasks, kinds"),
        (["--as", "json", "--table", "tasks"], "--table is for --as csv"),
        (["--as", "json", "--for", "1"], "--for is for a running program"),
        (["--as", "json", "-o", "/no/such/folder/file"], "cannot write /no/such/folder/file"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    options: list[str], says: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(path), *options]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err


def test_what_cannot_be_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for target in (str(tmp_path / "none"), __file__):
        assert main(["export", target, "--as", "json"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
