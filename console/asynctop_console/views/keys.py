"""The table of keys: bindings, footer, help and palette are all made from it."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding

APP = "app"
"""Whatever is open: palette, filter, any screen."""

TABLES = ("tasks", "kinds", "stalls", "resources", "warnings", "loops")
LISTS = (*TABLES, "tree")
AXES = ("plots", "task")
"""Where there is a cursor on a time axis."""
EVERYWHERE = (*LISTS, "detail", *AXES)


@dataclass(frozen=True, slots=True)
class Key:
    """One thing a key does. `id` is what a user's configuration may rebind."""

    id: str
    keys: str
    """Textual's names, separated by commas."""
    shown: str
    """The keys as people write them."""
    action: str
    short: str
    """A word for the footer; "" keeps it out."""
    help: str
    screens: tuple[str, ...] = EVERYWHERE
    group: str = "Everywhere"
    priority: bool = False
    """Taken before any widget sees it, and so before the keys that follow."""


KEYS: tuple[Key, ...] = (
    Key("help", "question_mark,f1", "? F1", "help", "help", "this help"),
    Key("quit", "q", "q ^C", "app.quit", "", "quit"),
    Key("quit.anyway", "ctrl+c", "", "quit", "", "quit", (APP,), priority=True),
    Key("back", "escape", "Esc", "back", "", "back: out of a detail, a filter, a chosen row"),
    Key(
        "open",
        "enter",
        "Enter",
        "open",
        "open",
        "see more of the row, or go where the line leads",
        group="Look",
    ),
    Key(
        "expand",
        "plus,right,l",
        "+ - → ←",
        "expand(1)",
        "more",
        "show what the task waits for",
        ("tree",),
        "Look",
    ),
    Key("collapse", "minus,left,h", "", "expand(-1)", "", "hide what the task waits for", ("tree",), "Look"),
    Key(
        "expand.all", "asterisk", "*", "expand_all", "", "show everything, or tasks alone", ("tree",), "Look"
    ),
    Key(
        "zoom.in",
        "plus,equals_sign",
        "+ -",
        "zoom(-1)",
        "zoom",
        "a shorter time in more detail, a longer one",
        ("loops", *AXES),
        "Look",
    ),
    Key("zoom.out", "minus", "", "zoom(1)", "", "a longer time in less detail", ("loops", *AXES), "Look"),
    Key(
        "poll.before",
        "left,h",
        "← → h l",
        "poll(-1)",
        "poll",
        "a cursor on the time axis: the poll before, the one after",
        ("task",),
        "Look",
    ),
    Key("poll.after", "right,l", "", "poll(1)", "", "the poll after", ("task",), "Look"),
    Key(
        "moment.before",
        "left,h",
        "← → h l",
        "moment(-1)",
        "moment",
        "a cursor on the plots: a moment before, one after",
        ("plots",),
        "Look",
    ),
    Key("moment.after", "right,l", "", "moment(1)", "", "a moment after", ("plots",), "Look"),
    Key("pan.back", "H,shift+left", "H L", "pan(-1)", "", "half the time axis back, on", AXES, "Look"),
    Key("pan.on", "L,shift+right", "", "pan(1)", "", "half the time axis on", AXES, "Look"),
    Key(
        "filter",
        "slash",
        "/",
        "filter",
        "filter",
        "filter the rows while you type",
        LISTS,
        "Look",
        priority=True,
    ),
    Key("next", "n", "n N", "match(1)", "", "next, previous match", LISTS, "Look"),
    Key("previous", "N", "", "match(-1)", "", "previous match", LISTS, "Look"),
    Key("flagged", "exclamation_mark", "!", "flagged", "", "only tasks with warnings", ("tasks",), "Look"),
    Key("finished", "d", "d", "finished", "", "hide finished tasks, or show them", ("tasks",), "Look"),
    Key("incidents", "I", "I", "incidents", "all", "every incident, with its stack", ("warnings",), "Look"),
    Key("follow", "f", "f", "follow", "", "keep the chosen row in sight", LISTS, "Look"),
    Key("screen.tasks", "1", "1", "app.screen('tasks')", "tasks", "tasks", group="Screens"),
    Key("screen.kinds", "2", "2", "app.screen('kinds')", "kinds", "tasks by what they are", group="Screens"),
    Key(
        "screen.stalls", "3", "3", "app.screen('stalls')", "stalls", "what blocked the loop", group="Screens"
    ),
    Key("screen.tree", "4", "4", "app.screen('tree')", "tree", "who awaits whom", group="Screens"),
    Key(
        "screen.resources",
        "5",
        "5",
        "app.screen('resources')",
        "res",
        "locks, queues and the like: who holds them, who waits",
        group="Screens",
    ),
    Key(
        "screen.warnings",
        "6",
        "6",
        "app.screen('warnings')",
        "warn",
        "warnings in sentences",
        group="Screens",
    ),
    Key(
        "screen.loops",
        "7",
        "7",
        "app.screen('loops')",
        "loops",
        "event loops, and what they did in the last minutes",
        group="Screens",
    ),
    Key(
        "pause",
        "space",
        "space",
        "app.hold",
        "pause",
        "hold the screen still; the program runs on (a recording is held itself)",
        group="Look",
    ),
    Key("screen.next", "tab", "Tab", "app.beside(1)", "", "next screen", group="Screens"),
    Key("screen.previous", "shift+tab", "", "app.beside(-1)", "", "previous screen", group="Screens"),
    Key(
        "sort.left", "left,h", "← → h l", "sort_beside(-1)", "", "sort by the column beside", TABLES, "Order"
    ),
    Key(
        "sort.right", "right,l", "", "sort_beside(1)", "", "sort by the column on the right", TABLES, "Order"
    ),
    Key("sort.invert", "i", "i", "invert", "", "the other way round", TABLES, "Order"),
    Key("sort.busy", "B", "B", "sort('busy')", "", "by time in polls", ("tasks", "kinds", "loops"), "Order"),
    Key("sort.max", "M", "M", "sort('max')", "", "by longest poll", ("tasks", "kinds", "stalls"), "Order"),
    Key("sort.polls", "P", "P", "sort('polls')", "", "by polls", ("tasks", "kinds", "loops"), "Order"),
    Key("sort.age", "A", "A", "sort('age')", "", "by age", ("tasks",), "Order"),
    Key("down", "down,j", "↓ j", "move(1)", "", "down", group="Move"),
    Key("up", "up,k", "↑ k", "move(-1)", "", "up", group="Move"),
    Key("page.down", "pagedown", "PgDn", "page(1)", "", "a page down", group="Move"),
    Key("page.up", "pageup", "PgUp", "page(-1)", "", "a page up", group="Move"),
    Key("first", "g,home", "g Home", "move_to(0)", "", "to the top", group="Move"),
    Key("last", "G,end", "G End", "move_to(-1)", "", "to the end", group="Move"),
    Key("copy", "y", "y", "copy", "", "copy the name to the clipboard", group="More"),
    Key(
        "slower",
        "less_than_sign",
        "< >",
        "app.rate(-1)",
        "",
        "paint less, more often; a recording: slower, faster",
        group="More",
    ),
    Key(
        "faster",
        "greater_than_sign",
        "",
        "app.rate(1)",
        "",
        "paint more often; a recording: faster",
        group="More",
    ),
    Key("wind.back", "left_square_bracket", "[ ]", "app.wind(-5)", "", "5 s back, on", group="Recording"),
    Key("wind.on", "right_square_bracket", "", "app.wind(5)", "", "5 s on", group="Recording"),
    Key("rewind", "left_curly_bracket", "{ }", "app.wind(-60)", "", "a minute back, on", group="Recording"),
    Key("fast.forward", "right_curly_bracket", "", "app.wind(60)", "", "a minute on", group="Recording"),
    Key("step", "full_stop", ".", "app.step", "", "hold it, and show its next update", group="Recording"),
    Key("theme", "ctrl+t", "^T", "app.next_theme", "", "dark, light or plain", group="More"),
    Key(
        "palette",
        "colon,ctrl+p",
        ": ^P",
        "app.command_palette",
        "",
        "find any of these by name",
        group="More",
    ),
)


def keys_of(screen: str) -> list[Key]:
    """What keys do on a screen, in the order of the table."""
    return [key for key in KEYS if screen in key.screens]


def bindings(screen: str) -> list[Binding]:
    """The same as Textual's bindings."""
    return [
        Binding(key.keys, key.action, key.help, show=False, priority=key.priority, id=key.id)
        for key in keys_of(screen)
    ]
