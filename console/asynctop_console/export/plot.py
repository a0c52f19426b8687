"""A curve over the time of a recording, drawn as SVG in a page."""

from __future__ import annotations

from asynctop_console.export.elements import Element, add

Points = list[tuple[float, float]]
"""(when, as a share of the time; how much)"""

_HEIGHT = 100
_WIDTH = 1000


def plot(
    parent: Element, title: str, points: Points, most: float, said: str, bands: list[tuple[float, float]]
) -> None:
    """A figure with a title, the highest value in words (`said`), and the curve of `points` below `most`.

    `bands` are marked times, (from, until) as shares of the time."""
    figure = add(parent, "figure")
    caption = add(figure, "figcaption")
    add(caption, "span", title)
    add(caption, "span", said, class_="muted")
    # It is as wide as the page; lines keep their width, and words are not in it.
    svg = add(figure, "svg", viewBox=f"0 0 {_WIDTH} {_HEIGHT}", preserveAspectRatio="none", role="img")
    svg.set("aria-label", f"{title}: {said}")
    for start, end in bands:
        x, width = start * _WIDTH, max((end - start) * _WIDTH, 1)
        add(svg, "rect", class_="stall", x=f"{x:.1f}", y=0, width=f"{width:.1f}", height=_HEIGHT)
    if points:
        line = [f"{x * _WIDTH:.1f},{_HEIGHT * (1 - 0.96 * y / (most or 1)):.1f}" for x, y in points]
        left, right = points[0][0] * _WIDTH, points[-1][0] * _WIDTH
        area = f"M{left:.1f},{_HEIGHT} L{' '.join(line)} L{right:.1f},{_HEIGHT} Z"
        add(svg, "path", class_="area", d=area)
        add(svg, "path", class_="line", d=f"M{' L'.join(line)}")
