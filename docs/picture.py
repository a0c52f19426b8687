"""Make a picture of the console beside a running demo.

    python docs/picture.py OUT.svg|OUT.png [--demo web] [--keys 3,enter] [--size 120x30] [--theme NAME]

It waits for a moment at which the event loop is blocked, as that is what there is to see. A PNG is drawn by
headless Chromium, which must be installed.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import tempfile
from pathlib import Path

from asynctop_console.demo import playing
from asynctop_console.source import SocketSource
from asynctop_console.source.target import Target
from asynctop_console.views.app import ConsoleApp
from asynctop_demos import DEMOS

_CELL = (12.2, 25.2)
"""Width and height of a cell in Textual's SVG."""


async def picture(target: Target, size: tuple[int, int], keys: list[str], theme: str, wait_s: float) -> str:
    """The console on `target` as an SVG, after the keys were pressed and while the loop is blocked."""
    app = ConsoleApp(SocketSource(target))
    async with app.run_test(size=size) as pilot:
        if theme:
            app.theme = theme
        await asyncio.sleep(wait_s)
        for key in keys:
            await pilot.press(key)
        async with asyncio.timeout(30):
            while "BLOCKING" not in (svg := app.export_screenshot(title="asynctop")):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return svg


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
    parser = argparse.ArgumentParser(description="Make a picture of the console beside a running demo.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--demo", default="web", choices=DEMOS)
    parser.add_argument("--keys", default="", help="Textual's names, separated by commas")
    parser.add_argument("--size", default="120x30")
    parser.add_argument("--theme", default="")
    parser.add_argument("--after", type=float, default=6, metavar="SECONDS")
    options = parser.parse_args()
    width, _, height = options.size.partition("x")
    size = (int(width), int(height))
    keys = [key for key in options.keys.split(",") if key]
    with playing(DEMOS[options.demo]) as target:
        svg = asyncio.run(picture(target, size, keys, options.theme, options.after))
    if options.out.suffix == ".png":
        rasterise(svg, options.out, size)
    else:
        options.out.write_text(svg)


if __name__ == "__main__":
    main()
