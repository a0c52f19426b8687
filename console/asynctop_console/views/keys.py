"""The table of keys: bindings, footer, help and palette are all made from it. The user's own: `keymap`."""

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
    """One thing a key does. `id` is its name in the user's settings."""

    id: str
    keys: str
    """Textual's names, separated by commas."""
    action: str
    short: str
    """A word for the footer; "" keeps it out."""
    help: str
    screens: tuple[str, ...] = EVERYWHERE
    group: str = "Everywhere"
    beside: str = ""
    """The id of what is shown together with it: its opposite, mostly."""
    priority: bool = False
    """Taken before any widget sees it, and so before the keys that follow."""

    @property
    def named(self) -> str:
        """What it does, to be found by its name as well."""
        name = self.id.replace("-", " ")
        return self.help if self.help.startswith(name) else f"{name}: {self.help}"


KEYS: tuple[Key, ...] = (
    Key("help", "question_mark,f1", "help", "help", "this help"),
    Key("quit", "q", "app.quit", "", "quit", beside="quit-anyway"),
    Key("quit-anyway", "ctrl+c", "quit", "", "quit", screens=(APP,), priority=True),
    Key("back", "escape", "back", "", "back: out of a detail, a filter, a chosen row"),
    Key("open", "enter", "open", "open", "see more of the row, or go where the line leads", group="Look"),
    Key(
        "expand",
        "plus,right,l",
        "expand(1)",
        "more",
        "show what the task waits for",
        screens=("tree",),
        group="Look",
        beside="collapse",
    ),
    Key(
        "collapse",
        "minus,left,h",
        "expand(-1)",
        "",
        "hide what the task waits for",
        screens=("tree",),
        group="Look",
    ),
    Key(
        "expand-all",
        "asterisk",
        "expand_all",
        "",
        "show everything, or tasks alone",
        screens=("tree",),
        group="Look",
    ),
    Key(
        "zoom-in",
        "plus,equals_sign",
        "zoom(-1)",
        "zoom",
        "a shorter time in more detail, a longer one",
        screens=("loops", *AXES),
        group="Look",
        beside="zoom-out",
    ),
    Key(
        "zoom-out",
        "minus",
        "zoom(1)",
        "",
        "a longer time in less detail",
        screens=("loops", *AXES),
        group="Look",
    ),
    Key(
        "poll-before",
        "left,h",
        "poll(-1)",
        "poll",
        "a cursor on the time axis: the poll before, the one after",
        screens=("task",),
        group="Look",
        beside="poll-after",
    ),
    Key("poll-after", "right,l", "poll(1)", "", "the poll after", screens=("task",), group="Look"),
    Key(
        "moment-before",
        "left,h",
        "moment(-1)",
        "moment",
        "a cursor on the plots: a moment before, one after",
        screens=("plots",),
        group="Look",
        beside="moment-after",
    ),
    Key("moment-after", "right,l", "moment(1)", "", "a moment after", screens=("plots",), group="Look"),
    Key(
        "pan-back",
        "H,shift+left",
        "pan(-1)",
        "",
        "half the time axis back, on",
        screens=AXES,
        group="Look",
        beside="pan-on",
    ),
    Key("pan-on", "L,shift+right", "pan(1)", "", "half the time axis on", screens=AXES, group="Look"),
    Key(
        "filter",
        "slash",
        "filter",
        "filter",
        "filter the rows while you type",
        screens=LISTS,
        group="Look",
        priority=True,
    ),
    Key("next", "n", "match(1)", "", "next, previous match", screens=LISTS, group="Look", beside="previous"),
    Key("previous", "N", "match(-1)", "", "previous match", screens=LISTS, group="Look"),
    Key(
        "flagged",
        "exclamation_mark",
        "flagged",
        "",
        "only tasks with warnings",
        screens=("tasks",),
        group="Look",
    ),
    Key(
        "finished", "d", "finished", "", "hide finished tasks, or show them", screens=("tasks",), group="Look"
    ),
    Key(
        "incidents",
        "I",
        "incidents",
        "all",
        "every incident, with its stack",
        screens=("warnings",),
        group="Look",
    ),
    Key("follow", "f", "follow", "", "keep the chosen row in sight", screens=LISTS, group="Look"),
    Key(
        "mark",
        "m",
        "mark",
        "",
        "mark the row, or not; the filter `marked` finds such rows",
        screens=LISTS,
        group="Look",
    ),
    Key(
        "recent",
        "r",
        "recent",
        "",
        "figures of the last 5 seconds, or since the start",
        screens=("tasks",),
        group="Look",
    ),
    Key(
        "by-parent",
        "T",
        "by_parent",
        "",
        "each task below the one that spawned it, or all alike",
        screens=("tasks",),
        group="Look",
    ),
    Key(
        "unfold",
        "plus",
        "fold(1)",
        "",
        "in that tree: unfold, fold",
        screens=("tasks",),
        group="Look",
        beside="fold",
    ),
    Key("fold", "minus", "fold(-1)", "", "in that tree: fold", screens=("tasks",), group="Look"),
    Key(
        "fold-all",
        "asterisk",
        "fold_all",
        "",
        "in that tree: fold or unfold everything",
        screens=("tasks",),
        group="Look",
    ),
    Key("columns", "c", "columns", "", "choose the columns", screens=LISTS, group="Look"),
    Key("screen-tasks", "1", "app.screen('tasks')", "tasks", "tasks", group="Screens"),
    Key("screen-kinds", "2", "app.screen('kinds')", "kinds", "tasks by what they are", group="Screens"),
    Key("screen-stalls", "3", "app.screen('stalls')", "stalls", "what blocked the loop", group="Screens"),
    Key("screen-tree", "4", "app.screen('tree')", "tree", "who awaits whom", group="Screens"),
    Key(
        "screen-resources",
        "5",
        "app.screen('resources')",
        "res",
        "locks, queues and the like: who holds them, who waits",
        group="Screens",
    ),
    Key("screen-warnings", "6", "app.screen('warnings')", "warn", "warnings in sentences", group="Screens"),
    Key(
        "screen-loops",
        "7",
        "app.screen('loops')",
        "loops",
        "event loops, and what they did in the last minutes",
        group="Screens",
    ),
    Key(
        "pause",
        "space",
        "app.hold",
        "pause",
        "hold the screen still, or come back to now (a recording is held itself)",
        group="Look",
    ),
    Key(
        "screen-next",
        "tab",
        "app.beside(1)",
        "",
        "next, previous screen",
        group="Screens",
        beside="screen-previous",
    ),
    Key("screen-previous", "shift+tab", "app.beside(-1)", "", "previous screen", group="Screens"),
    Key(
        "sort-left",
        "left,h",
        "sort_beside(-1)",
        "",
        "sort by the column beside",
        screens=TABLES,
        group="Order",
        beside="sort-right",
    ),
    Key(
        "sort-right",
        "right,l",
        "sort_beside(1)",
        "",
        "sort by the column on the right",
        screens=TABLES,
        group="Order",
    ),
    Key("sort-invert", "i", "invert", "", "the other way round", screens=TABLES, group="Order"),
    Key("sort-pick", "s", "pick_sort", "", "pick the column to sort by", screens=TABLES, group="Order"),
    Key(
        "sort-busy",
        "B",
        "sort('busy')",
        "",
        "by time in polls",
        screens=("tasks", "kinds", "loops"),
        group="Order",
    ),
    Key(
        "sort-max",
        "M",
        "sort('max')",
        "",
        "by longest poll",
        screens=("tasks", "kinds", "stalls"),
        group="Order",
    ),
    Key(
        "sort-polls", "P", "sort('polls')", "", "by polls", screens=("tasks", "kinds", "loops"), group="Order"
    ),
    Key("sort-age", "A", "sort('age')", "", "by age", screens=("tasks",), group="Order"),
    Key("down", "down,j", "move(1)", "", "down", group="Move"),
    Key("up", "up,k", "move(-1)", "", "up", group="Move"),
    Key("page-down", "pagedown", "page(1)", "", "a page down", group="Move"),
    Key("page-up", "pageup", "page(-1)", "", "a page up", group="Move"),
    Key("first", "g,home", "move_to(0)", "", "to the top", group="Move"),
    Key("last", "G,end", "move_to(-1)", "", "to the end", group="Move"),
    Key("copy", "y", "copy", "", "copy the name to the clipboard", group="More"),
    Key("copy-row", "Y", "copy_row", "", "copy the row as JSON", screens=LISTS, group="More"),
    Key("edit", "e", "edit", "", "open the line in your editor", group="More"),
    Key("save", "ctrl+s", "app.save", "", "save a snapshot as JSON", group="More"),
    Key(
        "slower",
        "less_than_sign",
        "app.rate(-1)",
        "",
        "paint less, more often; a recording: slower, faster",
        group="More",
        beside="faster",
    ),
    Key(
        "faster",
        "greater_than_sign",
        "app.rate(1)",
        "",
        "paint more often; a recording: faster",
        group="More",
    ),
    Key(
        "wind-back",
        "left_square_bracket",
        "app.wind(-5)",
        "",
        "what was 5 s before, after; of a program the last minutes are kept",
        group="Time",
        beside="wind-on",
    ),
    Key("wind-on", "right_square_bracket", "app.wind(5)", "", "5 s after", group="Time"),
    Key(
        "rewind",
        "left_curly_bracket",
        "app.wind(-60)",
        "",
        "a minute before, after",
        group="Time",
        beside="fast-forward",
    ),
    Key("fast-forward", "right_curly_bracket", "app.wind(60)", "", "a minute after", group="Time"),
    Key("step", "full_stop", "app.step", "", "show the next update, and hold still there", group="Time"),
    Key("theme", "ctrl+t", "app.next_theme", "", "dark, light or plain", group="More"),
    Key("palette", "colon,ctrl+p", "app.command_palette", "", "find any of these by name", group="More"),
)

PAUSE = next(key for key in KEYS if key.id == "pause")


def keys_of(screen: str) -> list[Key]:
    """What keys do on a screen, in the order of the table."""
    return [key for key in KEYS if screen in key.screens]


def bindings(screen: str) -> list[Binding]:
    """The same as Textual's bindings."""
    return [
        Binding(key.keys, key.action, key.help, show=False, priority=key.priority, id=key.id)
        for key in keys_of(screen)
    ]
