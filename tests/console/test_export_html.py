"""The report: what is in it, and that a page is all that it can be."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from asynctop_console.cli import main
from asynctop_console.export import html
from asynctop_console.lints import RULES
from asynctop_console.source import TargetError
from asynctop_console.source.recording import Recording
from asynctop_protocol.messages import Cause, Message, Part, Stalls, Tick

from .program import HOSTILE, MS, SECOND, hello, loops, named, polled, spawned, stall
from .screens import NOW, three, two_kinds
from .test_recording import write


class Page(HTMLParser):
    """What a browser sees of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.blocks: list[str] = []
        """Texts, by element."""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.blocks.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.blocks)


def report(path: Path) -> tuple[Page, str]:
    out = io.StringIO()
    assert html.export(Recording(path), out, RULES) == ""
    return Page(out.getvalue()), out.getvalue()


def of_stalls(*stalls: list[Message]) -> list[list[Message]]:
    return [three(), *stalls]


def test_the_report_tells_what_is_wrong_when_and_where(tmp_path: Path) -> None:
    busy = replace(stall(2, line=50), cause=Cause.CPU, started_ns=NOW + SECOND, task=0, name="callback")
    path = write(
        tmp_path / "a.rec",
        [
            three(),
            [Stalls([replace(stall(1), started_ns=NOW + SECOND // 2)]), Tick(NOW + 2 * SECOND)],
            [Stalls([busy, stall(3, started=NOW)]), Tick(NOW + 4 * SECOND)],
        ],
    )
    page, text = report(path)
    assert "observed for 4.00s" in page.text
    assert "seen from 2.00s to the end" in page.text
    assert "blocked in api.get() for 500ms by task worker in load() at app/web.py:44" in page.text
    # The place that took most comes first.
    summaries = re.findall(r"<summary>(.+?)</summary>", text)
    assert summaries[0].startswith("<b>1.00s</b>")
    assert "2 times, at most 500ms" in summaries[0]
    assert "blocking in load() at app/web.py:44, in worker" in summaries[0]
    assert "cpu in load() at app/web.py:50, in callback, once" in summaries[1]
    assert "load() at /srv/app/web.py:44" in page.blocks
    assert page.tags.count("svg") == 3
    assert len(re.findall('class="stall"', text)) == 6


def test_a_stack_that_parts_is_a_tree_with_shares(tmp_path: Path) -> None:
    parts = [Part(6, "time.sleep", 2, []), Part(3, "", 1, [("save", "/srv/app/web.py", 50)])]
    parting = replace(stall(started=NOW), stack=stall().stack[:2], parts=parts)
    page, _ = report(write(tmp_path / "a.rec", of_stalls([Stalls([parting]), Tick(NOW + SECOND)])))
    assert "67% load() at /srv/app/web.py:44" in page.blocks
    assert "33% save() at /srv/app/web.py:50" in page.blocks
    assert "67% time.sleep (C)" in page.blocks


def test_curves_are_of_the_time_they_stand_at(tmp_path: Path) -> None:
    ticks: list[list[Message]] = [
        [
            loops(polls=375 + 100 * min(n, 2), busy=113 * MS + n * 125 * MS, lag=n * MS),
            Tick(NOW + n * SECOND // 4),
        ]
        for n in range(1, 5)
    ]
    page, text = report(write(tmp_path / "a.rec", [three(), *ticks]))
    for said in ("at most 400", "at most 50% busy", "at most 4.00ms"):
        assert said in page.blocks
    lines = re.findall(r'class="line" d="([^"]+)"', text)
    assert lines[2] == "M375.0,76.0 L625.0,52.0 L875.0,4.0"


def test_loops_that_come_and_go_are_in_the_curves(tmp_path: Path) -> None:
    ticks: list[list[Message]] = [
        [loops(polls=50, busy=125 * MS, id=1 + n), Tick(NOW + n * SECOND // 4)] for n in range(1, 5)
    ]
    page, text = report(write(tmp_path / "a.rec", [three(), *ticks]))
    for said in ("at most 200", "at most 50% busy"):
        assert said in page.blocks
    for line in re.findall(r'class="line" d="([^"]+)"', text)[:2]:
        assert len({point.split(",")[1] for point in line[1:].split(" L")}) == 1, "each tick has its loop"


def test_a_recording_of_a_healthy_program(tmp_path: Path) -> None:
    page, _ = report(write(tmp_path / "a.rec", [three()]))
    assert "No lint has found anything." in page.blocks
    assert "Stalls" not in page.blocks
    assert {"main", "fetch", "worker"} <= set(page.blocks)


def test_a_kind_that_blocks_is_the_busiest(tmp_path: Path) -> None:
    page, _ = report(write(tmp_path / "a.rec", [three(), two_kinds(NOW + SECOND)]))
    cells = page.blocks[page.blocks.index("Kinds of tasks, the busiest first") :]
    first = cells.index("app.loader")
    assert first < cells.index("app.handler")
    assert cells[first : first + 10].count("13.0s") == 2


def test_a_recording_of_nothing(tmp_path: Path) -> None:
    page, _ = report(write(tmp_path / "a.rec", [[hello(), Tick(NOW)]]))
    assert "app.py --port 80" in page.blocks


def test_a_recording_that_was_cut_off(tmp_path: Path) -> None:
    batches = of_stalls([Stalls([stall(started=NOW)]), Tick(NOW + SECOND)], [Tick(NOW + 2 * SECOND)])
    path = write(tmp_path / "a.rec", batches)
    path.write_bytes(path.read_bytes()[:-5])
    assert "blocking in load()" in report(path)[0].text
    path = write(tmp_path / "b.rec", [three()])
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(TargetError, match="holds nothing yet"):
        report(path)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_names(tmp_path: Path, name: str) -> None:
    frames = [(name, name, 1)]
    wild = replace(
        stall(cause=Cause.CPU, started=NOW), name=name, stack=frames, parts=[Part(1, name, 0, frames)]
    )
    batch: list[Message] = [
        *(spawned([9]), named([9], [name]), polled([9], max_poll=SECOND)),
        *(Stalls([wild]), Tick(NOW + SECOND, {name: 3}, [name])),
    ]
    greeting = replace(hello(), argv=[name], python=name, runtime=name, core=name, wall_ns=2**63 - 1)
    page, text = report(write(tmp_path / "a.rec", [three(greeting=greeting), batch]))
    assert text.isascii()
    assert not {"script", "img", "iframe", "a", "link", "object"} & set(page.tags)
    assert not [each for each, _ in page.attributes if each.startswith("on") or each in {"src", "href"}]
    assert all(block.isprintable() for block in page.blocks if "\n" not in block)
    assert len(text) < 50_000


def test_the_report_needs_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = write(tmp_path / "a.rec", [three()]), tmp_path / "a.html"
    assert main(["export", str(path), "--as", "html", "-o", str(out)]) == 0
    assert capsys.readouterr() == ("", "")
    text = out.read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "http" not in text.replace("http-equiv", "")
    assert "url(" not in text
    assert "default-src 'none'" in text
