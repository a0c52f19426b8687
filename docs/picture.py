"""Make a picture of the console.

    python docs/picture.py OUT.svg|OUT.png [TARGET] [--keys 3,enter] [--size 120x36] [--theme NAME]

Without a TARGET (a pid or the path of a socket) it shows a program that does not exist, with so many --tasks.
A PNG is drawn by headless Chromium, which must be installed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from asynctop_console.source import Source
from asynctop_console.views.app import ConsoleApp

_CELL = (12.2, 25.2)
"""Width and height of a cell in Textual's SVG."""


async def picture(source: Source, size: tuple[int, int], keys: list[str], theme: str, wait_s: float) -> str:
    """The console on `source` as an SVG, after it ran for `wait_s` seconds and the keys were pressed."""
    app = ConsoleApp(source)
    async with app.run_test(size=size) as pilot:
        if theme:
            app.theme = theme
        await asyncio.sleep(wait_s)
        for key in keys:
            await pilot.press(key)
            await asyncio.sleep(0.6)
        return app.export_screenshot(title="asynctop")


def rasterise(svg: str, out: Path, size: tuple[int, int]) -> None:
    """Draw an SVG as a PNG."""
    width, height = (round(cells * cell + 70) for cells, cell in zip(size, _CELL, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.html")
        page.write_text(
            f'<body style="margin:0;background:#0000"><div style="width:{width}px">{svg}</div></body>'
        )
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--window-size={width},{height}", f"--screenshot={out.resolve()}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make a picture of the console.")
    parser.add_argument("out", type=Path)
    parser.add_argument("target", nargs="?", help="a pid or the path of a socket")
    parser.add_argument("--keys", default="", help="Textual's names, separated by commas")
    parser.add_argument("--size", default="120x36")
    parser.add_argument("--theme", default="")
    parser.add_argument("--tasks", type=int, default=400)
    parser.add_argument("--after", type=float, default=2.5, metavar="SECONDS")
    options = parser.parse_args()
    if options.target:
        from asynctop_console.source import SocketSource, resolve

        source: Source = SocketSource(resolve(options.target, os.environ, os.getuid()))
    else:
        sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
        from synthetic import Synthetic

        source = Synthetic(options.tasks)
    width, _, height = options.size.partition("x")
    size = (int(width), int(height))
    keys = [key for key in options.keys.split(",") if key]
    svg = asyncio.run(picture(source, size, keys, options.theme, options.after))
    if options.out.suffix == ".png":
        rasterise(svg, options.out, size)
    else:
        options.out.write_text(svg)


if __name__ == "__main__":
    main()
