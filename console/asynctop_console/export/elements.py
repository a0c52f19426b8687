"""HTML as a tree of elements, which is turned into text at the end: nothing gets in that was not escaped."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement, tostring

__all__ = ["Element", "add", "page", "table"]


def add(parent: Element, tag: str, text: str = "", /, **attributes: str | float) -> Element:
    """A new element in `parent`. Names of attributes are Python's: `class_`, `stroke_width`."""
    element = SubElement(parent, tag)
    element.text = text
    for name, value in attributes.items():
        element.set(name.rstrip("_").replace("_", "-"), str(value))
    return element


def page(title: str, style: str) -> tuple[Element, Element]:
    """A page that needs nothing else, and its body."""
    html = Element("html", lang="en")
    head = add(html, "head")
    add(head, "meta", charset="utf-8")
    add(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    add(head, "meta", name="color-scheme", content="light dark")
    # A second wall: nothing is to be run, and nothing to be fetched.
    policy = {"http-equiv": "Content-Security-Policy"}
    SubElement(head, "meta", policy, content="default-src 'none'; style-src 'unsafe-inline'")
    add(head, "title", title)
    add(head, "style", style)
    return html, add(html, "body")


def text_of(html: Element) -> str:
    """The page as text, in ASCII, so that no encoding can harm it."""
    text = tostring(html, encoding="unicode", method="html")
    return "<!DOCTYPE html>\n" + text.encode("ascii", "xmlcharrefreplace").decode("ascii") + "\n"


def table(parent: Element, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A table; a column whose header begins with ">" is one of numbers."""
    names = list(header)
    classes = ["number" if name.startswith(">") else "" for name in names]
    # Wider than a phone: it scrolls by itself, and not the whole page.
    frame = add(add(parent, "div", class_="wide"), "table")
    head = add(add(frame, "thead"), "tr")
    for name, class_ in zip(names, classes, strict=True):
        add(head, "th", name.lstrip(">"), class_=class_)
    body = add(frame, "tbody")
    for row in rows:
        line = add(body, "tr")
        for cell, class_ in zip(row, classes, strict=True):
            add(line, "td", cell, class_=class_)
