"""The app: takes messages from a source, folds them into a model, and paints whichever screen is open.

Reading, folding and painting take turns in Textual's event loop. One batch is folded at a time; painting
has its own
clock and slows down rather than hog a processor or run ahead of a slow terminal.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Hashable, Iterable
from contextlib import aclosing
from functools import partial
from importlib import import_module
from pathlib import Path
from time import monotonic_ns
from typing import Any, ClassVar

from textual import events
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen

from asynctop_console.lints import RULES, Finding, Rule
from asynctop_console.memory import Memory
from asynctop_console.model import Model
from asynctop_console.model.model import same_program
from asynctop_console.source.live import Phase as SourcePhase
from asynctop_console.source.live import Source, SourceState
from asynctop_console.source.replay import ReplaySource
from asynctop_console.source.target import TargetError
from asynctop_console.views.aside import Looks
from asynctop_console.views.filter import Fields
from asynctop_console.views.frame import SILENT_AFTER_NS, Frame, Link, Phase
from asynctop_console.views.glyphs import in_ascii_only
from asynctop_console.views.hold import Hold
from asynctop_console.views.inspection import Inspection
from asynctop_console.views.judge import Judge
from asynctop_console.views.keymap import DEFAULT_KEYS, Keymap
from asynctop_console.views.keys import APP, PAUSE, bindings, keys_of
from asynctop_console.views.save import save
from asynctop_console.views.theme import DEFAULT, PALETTES, PLAIN, THEMES
from asynctop_console.views.view import View
from asynctop_protocol import MAX_WATCHED, ProtocolError
from asynctop_protocol.messages import Chains, Hello, Message, Subscribe, Tick, Watch

SCREENS: dict[str, str] = {
    "tasks": "asynctop_console.views.tasklist:Tasks",
    "kinds": "asynctop_console.views.kinds:KindsScreen",
    "stalls": "asynctop_console.views.stalls:StallsScreen",
    "tree": "asynctop_console.views.tree:TreeScreen",
    "resources": "asynctop_console.views.resources:ResourcesScreen",
    "warnings": "asynctop_console.views.warnings:Warnings",
    "loops": "asynctop_console.views.loops:LoopsScreen",
}
"""The screens in the order of Tab, imported when first shown: the first paint should not wait for the last
screen."""

HOME = "tasks"

_PERIODS_NS = (2_000_000_000, 1_000_000_000, 500_000_000, 250_000_000, 100_000_000)
"""Between two paintings, slowest first."""
_USUAL_PERIOD = 3
_PAINT_NS = 10_000_000
"""A painting that takes longer makes the next ones come later, in proportion: 10 ms four times a second is
4 %."""
_SLOWEST_PAINT_NS = 80_000_000
"""What is taken for the cost of a painting at most, so that the screen never stands still for more than
2 s."""
_TURNS_OF_KEY = 10
"""What a key does comes to the screen in so many turns of the event loop; folding a message in each of them
would keep it waiting."""
LARGE = 1 << 15
"""Bytes of a message whose folding takes a millisecond or so. Of less, all that belongs to a tick is folded
before anything is painted."""
_SEARCH_S = 1.0
"""Between two looks for a program that has been started anew."""


class ConsoleApp(App[None]):
    """The console on one source. With `successor`, which looks for the program's next incarnation (None
    where there is none
    yet), it goes on when the program was restarted.
    """

    TITLE = "asynctop"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(APP)]

    def __init__(
        self,
        source: Source | None,
        successor: Callable[[], Source | None] | None = None,
        target: str = "",
        clock_ns: Callable[[], int] = monotonic_ns,
        rules: tuple[Rule, ...] = RULES,
        keymap: Keymap = DEFAULT_KEYS,
        memory: Memory | None = None,
        ascii_only: bool = False,
    ) -> None:
        """`target` says in a few words what is looked at; `clock_ns` is any steady clock. Without a `memory`
        nothing outlives the app. With `ascii_only` the terminal gets nothing else."""
        plain = bool(os.environ.get("NO_COLOR"))
        # Without it Textual turns colours to grey, and default ones to black on black.
        super().__init__(ansi_color=True if plain else None)
        if ascii_only:
            self.driver_class = in_ascii_only(self.driver_class)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = PLAIN if plain else DEFAULT
        self.model = Model()
        self.keymap = keymap
        self.memory = memory or Memory()
        self.clock_ns = clock_ns
        self._source = source
        self._successor = successor
        self._target = target or str(getattr(source, "target", "") or "a program")
        self._ticked_ns = clock_ns()
        self._tick_gap_ns = 0
        self.looks = Looks(self.run_worker)
        self._judge = Judge(rules, self.looks, clock_ns)
        self._hold = Hold(lambda: self.model, self._fold, rules, self.looks.still)
        self._turns_of_key = 0
        """Of the event loop, in which nothing is folded."""
        self._failure = ""
        self._shown: Hello | None = None
        """Of the program that is on the screen."""
        self._inspection = Inspection(self._send, clock_ns)
        self._watched: list[int] = []
        self._period = _USUAL_PERIOD
        self._paint_ns = self._paint_began_ns = 0
        self._screens: dict[str, View] = {}
        self._at = HOME

    # Life

    def get_default_screen(self) -> Screen[None]:
        """The home screen."""
        return self._view(HOME)

    def on_mount(self) -> None:
        """Paint first, then connect."""
        self.set_keymap({id: ",".join(keys) for id, keys in self.keymap.chosen.items()})
        self.set_interval(_PERIODS_NS[-1] / 1e9, self._maybe_paint)
        self._next_paint_ns = 0
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        self._maybe_paint()
        self._begin_to_read()

    def _begin_to_read(self) -> None:
        self.run_worker(self._read(), name="reader", group="reader", exclusive=True, exit_on_error=True)

    async def _read(self) -> None:
        """Take messages as long as there is a source, and look for the next one after that."""
        while True:
            source = self._source
            if source is not None:
                self._failure = ""
                self._subscribe()
                if self._watched:
                    self._watch()
                try:
                    async with aclosing(source.messages()) as messages:
                        async for message in messages:
                            await self._take(message, source.payload)
                except (TargetError, ProtocolError) as error:
                    self._failure = str(error)
            if self._successor is None:
                return
            found = None
            while found is None:
                await asyncio.sleep(_SEARCH_S)
                found = await asyncio.to_thread(self._successor)
            self._source = found

    async def _take(self, message: Message, payload: bytes) -> None:
        """Fold a message, or let it wait while the screen is held; `payload` is what it was read from."""
        while self._turns_of_key:
            self._turns_of_key -= 1
            await asyncio.sleep(0)
        if isinstance(message, Hello):
            self._inspection.restart()
        elif isinstance(message, Chains):
            self._inspection.heard(message)
        if self._hold.delays:
            await self._hold.delay(message, payload)
            self._notice_program()
        else:
            async with self.looks.still:
                if self._fold(message, payload):
                    await self._hold.trail.keep(self.model)
        if isinstance(message, Tick | Chains) or len(payload) >= LARGE:
            # A source with much to say must not keep keys waiting.
            await asyncio.sleep(0)

    def _fold(self, message: Message, payload: bytes) -> bool:
        """Take in a message. Whether it is time to keep the model, so that one can go back to it."""
        self.model.fold(message)
        if isinstance(message, Hello):
            self._notice_program()
        elif isinstance(message, Tick):
            now = self.clock_ns()
            self._tick_gap_ns, self._ticked_ns = now - self._ticked_ns, now
            if self.model.ticks == 1:  # what the user has been waiting for
                self._next_paint_ns = 0
                self._maybe_paint()
        return bool(payload) and self._hold.trail.add(message, payload, self.model)

    def _notice_program(self) -> None:
        """Where another program is shown than before, leave what is open about that: the same numbers mean
        others now. A screen that is held may still show the one before."""
        hello = (self.model if self._hold.frame is None else self._hold.frame.model).hello
        before, self._shown = self._shown, hello
        if before is None or hello is None or same_program(before, hello):
            return
        self._judge.forget()
        for view in self._screens.values():
            view.forget()
        self.action_screen(self._at)
        if isinstance(self.screen, View):
            self.screen.repaint()
        self.notify(f"pid {before.pid} has been restarted: this is pid {hello.pid}", markup=False)

    # Painting

    def frame(self) -> Frame:
        """This moment; while the screen is held, that one."""
        now, model, link = self.clock_ns(), self.model, self._link()
        since = now - self._ticked_ns if link.phase is Phase.LIVE and model.ticks else 0
        if self._hold.frame is not None:
            return self._hold.renewed(self._hold.frame, model.now_ns + since, self.keymap.first(PAUSE))
        self._judge.keep_up(model)
        period = _PERIODS_NS[self._period]
        silent = since if since > SILENT_AFTER_NS and since > 4 * period else 0
        now_ns, findings = model.now_ns + since, self._judge.findings
        return Frame(model, link, now_ns, findings, overdue=since > 2 * period, silent_ns=silent)

    def _link(self) -> Link:
        source = self._source
        state = SourceState(SourcePhase.CONNECTING) if source is None else source.state
        target = self._target
        if self._failure:
            phase = Phase.EXITED if self.model.ticks and self._successor else Phase.REFUSED
            return Link(phase, target, self._failure, again=self._successor is not None)
        match state.phase:
            case SourcePhase.LIVE:
                return Link(Phase.LIVE, target)
            case SourcePhase.WAITING:
                left = state.retry_at - asyncio.get_running_loop().time()
                return Link(Phase.RECONNECTING, target, state.text, max(round(left), 0), state.tries)
            case SourcePhase.EXITED:
                return Link(Phase.EXITED, target, state.text, again=self._successor is not None)
            case SourcePhase.REPLAYING:
                return Link(Phase.REPLAY, target, state.text)
            case SourcePhase.FAILED:
                return Link(Phase.REFUSED, target, state.text)
        return Link(Phase.CONNECTING, target, state.text)

    def _maybe_paint(self) -> None:
        """Paint if it is time to and the terminal has taken in the last painting."""
        now = self.clock_ns()
        if now < self._next_paint_ns or self._terminal_behind():
            return
        slower = max(1.0, self._paint_ns / _PAINT_NS)
        self._next_paint_ns = now + int(_PERIODS_NS[self._period] * slower) - _PERIODS_NS[-1] // 2
        self.paint()

    def paint(self) -> None:
        """Paint the open screen as of now."""
        if not self.screen_stack:
            return  # it is about to end, and a timer does not know yet
        screen = self.screen
        if isinstance(screen, View):
            self._paint_began_ns = monotonic_ns()
            screen.paint(self.frame())
            # Without arguments: of each new callable Textual asks for its signature, which takes long.
            self.call_after_refresh(self._painted)

    def _painted(self) -> None:
        # A single slow one says little: a resize, or a large batch that was folded before the refresh.
        took_ns = monotonic_ns() - self._paint_began_ns
        self._paint_ns += (min(took_ns, _SLOWEST_PAINT_NS) - self._paint_ns) // 4

    def _terminal_behind(self) -> bool:
        """Whether what was written is still waiting in the writer's queue, where Textual has one."""
        writer = getattr(self._driver, "_writer_thread", None)
        queue = getattr(writer, "_queue", None)
        return queue is not None and queue.qsize() > 2

    # Screens

    def _view(self, name: str) -> View:
        if name not in self._screens:
            module, _, cls = SCREENS[name].partition(":")
            self._screens[name] = getattr(import_module(module), cls)()
        return self._screens[name]

    def action_screen(self, name: str) -> None:
        """Go to a list, out of whatever is open."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self._at = name
        if name != HOME:
            # The home screen lies under all others; installed ones keep their state when they are left.
            view = self._view(name)
            if not self.is_screen_installed(name):
                self.install_screen(view, name)
            self.push_screen(name)

    def action_beside(self, step: int) -> None:
        """Go to the screen beside."""
        names = list(SCREENS)
        self.action_screen(names[(names.index(self._at) + step) % len(names)])

    def show_task(self, id: int) -> None:
        """Open a task's detail on top of the present screen."""
        self.push_screen(import_module("asynctop_console.views.detail").Detail(id))

    def show_stalls(self, place: Hashable) -> None:
        """Open the stalls of one place."""
        self.push_screen(import_module("asynctop_console.views.detail").StallDetail(place))

    def show_resource(self, id: int) -> None:
        """Open a resource: who holds it and who waits for it."""
        self.push_screen(import_module("asynctop_console.views.resources").ResourceDetail(id))

    def show_kind(self, kind: int) -> None:
        """Open a kind: its sums, and what it did in the last minutes."""
        self.push_screen(import_module("asynctop_console.views.kind").KindDetail(kind))

    def show_loop(self, id: int) -> None:
        """Open a loop: what it does, and did in the last minutes."""
        self.push_screen(import_module("asynctop_console.views.loop").LoopDetail(id))

    def show_finding(self, finding: Finding) -> None:
        """Open a warning's whole sentence, its subject, and the tasks it is about."""
        self.push_screen(import_module("asynctop_console.views.finding").FindingDetail(finding))

    def show_incidents(self) -> None:
        """Open all incidents, one by one."""
        self.push_screen(import_module("asynctop_console.views.incidents").IncidentsPage())

    def show_tasks_of(self, kind: int) -> None:
        """Go to the tasks of a kind, by way of the filter."""
        self.action_screen(HOME)
        self.call_after_refresh(self._view(HOME).set_filter, f"kind:K{kind}")

    def show_help(self, screen: str, fields: Fields) -> None:
        """Open the help on a screen's keys, and on filtering by its fields."""
        self.push_screen(import_module("asynctop_console.views.help").Help(screen, fields))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: what the keys of the present screen do."""
        if isinstance(screen, View):
            for key in keys_of(screen.KEYS_OF):
                if shown := self.keymap.shown(key):
                    yield SystemCommand(key.named, shown, partial(self.run_action, key.action, screen))

    # What keys do

    async def on_event(self, event: events.Event) -> None:
        """Where something is being typed, it comes before all else."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            self._turns_of_key = _TURNS_OF_KEY
            screen = self.screen if self.screen_stack else None
            if isinstance(screen, View) and await screen.typed(event):
                return
        await super().on_event(event)

    async def action_hold(self) -> None:
        """Hold the screen still, or go on with now; a recording is held itself."""
        if isinstance(self._source, ReplaySource):
            self._source.toggle()
        elif self._hold.frame is None:
            self._hold.begin(self.frame())
            self._moved(True)  # the rows in the order of this moment: there will be no other
            return
        else:
            await self._hold.end()
            self._notice_program()
        self.paint()

    def action_rate(self, step: int) -> None:
        """Paint more often (1) or less (-1); play a recording faster or slower."""
        if isinstance(self._source, ReplaySource):
            self._source.faster(step)
            self.paint()
            return
        self._period = min(max(self._period + step, 0), len(_PERIODS_NS) - 1)
        self._next_paint_ns = 0
        self._subscribe()
        self.notify(f"{10**9 / _PERIODS_NS[self._period]:g} times a second", timeout=2)

    async def action_wind(self, seconds: int) -> None:
        """Go back in time by so much, or on."""
        if isinstance(self._source, ReplaySource):
            self._source.seek(seconds * 1_000_000_000)
            # All that was known is of another moment, but for what was so at each.
            self.model = Model(self.model.past)
            self._judge.forget()
            self._begin_to_read()
        else:
            self._moved(await self._hold.wind(seconds * 1_000_000_000))

    def action_save(self) -> None:
        """Save what is known at this moment where the console was started."""
        try:
            path = save(self.frame().model, self._judge.rules, Path.cwd())
        except OSError as error:
            self.notify(f"Cannot save here: {error.strerror}", severity="error", markup=False)
        else:
            self.notify(f"Saved {path.name}", timeout=4, markup=False)

    async def action_step(self) -> None:
        """Show the next update, and hold the screen, or the recording, there."""
        if isinstance(self._source, ReplaySource):
            self._source.step()
        else:
            self._moved(await self._hold.step())

    def _moved(self, moved: bool) -> None:
        """Show another moment, or say why there is none."""
        self._notice_program()
        if not moved:
            self.notify(self._hold.why_not, markup=False)
        elif isinstance(self.screen, View):
            self.screen.repaint()

    def notify(self, message: str, **options: Any) -> None:
        """Say something in passing, in place of what was said before: it is about the key pressed last."""
        self.clear_notifications()
        super().notify(message, **options)

    def action_next_theme(self) -> None:
        """The next of our themes."""
        names = list(PALETTES)
        self.theme = names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else DEFAULT

    def keep_up(self, frame: Frame, shown: tuple[int, ...] | None) -> None:
        """Have the await chains read that the open screen shows; see `Inspection`."""
        if not frame.paused and self._link().phase is Phase.LIVE:
            self._inspection.keep_up(self.model, shown if frame.model is self.model else None)

    def watch_task(self, id: int) -> None:
        """Have the program tell of each poll of a task, until as many `leave_task` as this."""
        self._watched.append(id)
        self._watch()

    def leave_task(self, id: int) -> None:
        """See `watch_task`."""
        self._watched.remove(id)
        self._watch()

    def _watch(self) -> None:
        # Of very many pages on top of each other, those that were opened last.
        tasks = list(dict.fromkeys(reversed(self._watched)))[:MAX_WATCHED]
        self.model.watched.keep(tasks)
        self._send(Watch(tasks))

    def _subscribe(self) -> None:
        self._send(Subscribe(_PERIODS_NS[self._period]))

    def _send(self, message: Message) -> None:
        if self._source is not None:
            self._source.send(message)
