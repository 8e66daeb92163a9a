"""The screen of `arriero top`: a service at a glance, renewed each second. The only file that imports textual.

It decides nothing: `observe.glance` says what there is, this says where it stands. Who runs: textual's event loop, and
a thread that asks the gateway, one look at a time, so that a gateway that is silent stops no key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from arriero.control.messages import TargetStatus
from arriero.errors import ArrieroError, Problem
from arriero.observe.glance import Glance, Row

try:
    from rich.text import Text
    from textual import work
    from textual.app import App, ComposeResult
    from textual.binding import Binding
    from textual.widgets import DataTable, Footer, Static
except ImportError as error:
    raise ArrieroError(Problem(f"the screen needs textual ({error})", "pip install 'arriero[top]'", "top")) from None

LOOK_SECONDS = 1.0
Look = Callable[[], Glance]
Cells = tuple[str | Text, ...]

_COLOURS = {"up": "green", "suspect": "yellow", "new": "cyan", "draining": "blue", "down": "red"}
_SITES = ("site", "up", "release", "running", "first token", "p95", "$/h")
_MODELS = ("model", "in memory", "waiting", "tokens/s", "first token", "p95")
_TARGETS = ("target", "site", "state", "rel", "running", "in memory")


class Top(App[None]):
    """`look` asks the gateway, and may take its time; it raises ArrieroError where that can't be done."""

    CSS = """
    Screen { layout: vertical; }
    #whole { height: 2; padding: 0 1; }
    DataTable { height: auto; max-height: 6; margin-bottom: 0; }
    #targets { height: 1fr; max-height: 100%; }
    """
    BINDINGS = [
        Binding("q", "quit", "Quit"),
        Binding("up", "cursor_up", "Up", show=False),
        Binding("down", "cursor_down", "Down", show=False),
    ]
    ENABLE_COMMAND_PALETTE = False
    TITLE = "arriero top"

    def __init__(self, look: Look) -> None:
        super().__init__()
        self._look = look
        self._is_looking = False

    def compose(self) -> ComposeResult:
        yield Static("looking…", id="whole")
        for name, columns in (("sites", _SITES), ("models", _MODELS), ("targets", _TARGETS)):
            table: DataTable[str | Text] = DataTable(id=name, cursor_type="row")
            table.add_columns(*columns)
            yield table
        yield Footer()

    def on_mount(self) -> None:
        self.query_one("#targets").focus()
        self.renew()
        self.set_interval(LOOK_SECONDS, self.renew)

    def renew(self) -> None:
        """Looks again, unless the look before is not back yet."""
        if not self._is_looking:
            self._is_looking = True
            self._ask()

    @work(thread=True)
    def _ask(self) -> None:
        try:
            found: Glance | ArrieroError = self._look()
        except ArrieroError as error:
            found = error
        self.call_from_thread(self._show, found)

    def _show(self, found: Glance | ArrieroError) -> None:
        self._is_looking = False
        whole = self.query_one("#whole", Static)
        if isinstance(found, ArrieroError):
            # What was seen last stays: it is the best that is known.
            whole.update(Text(f"{found.problems[0]}\nlooking again…", style="red"))
            return
        whole.update(_whole(found))
        self._fill("sites", (_site(row) for row in found.sites))
        self._fill("models", (_model(row) for row in found.models))
        self._fill("targets", (_target(one) for one in found.targets))

    def _fill(self, name: str, rows: Iterable[Cells]) -> None:
        """Anew, with the cursor and the view where they were."""
        table: DataTable[str | Text] = self.query_one(f"#{name}", DataTable)
        row, top = table.cursor_row, table.scroll_y
        table.clear()
        for cells in rows:
            table.add_row(*cells)
        table.move_cursor(row=min(row, max(0, table.row_count - 1)), scroll=False)
        table.scroll_to(y=top, animate=False)


def _whole(found: Glance) -> str:
    w = found.whole
    draining = ", draining" if found.is_draining else ""
    return (
        f"{found.service}{draining}: {w.up} of {w.targets} targets up, {w.running} running, {w.waiting} waiting\n"
        f"{w.tokens_a_second:.0f} tokens/s, first token {seconds(w.first_token_p50)}, p95 {seconds(w.first_token_p95)},"
        f" ${w.cost_an_hour:.2f} an hour"
    )


def _site(row: Row) -> Cells:
    up = Text(f"{row.up}/{row.targets}", style="green" if row.up == row.targets and row.up else "red")
    release = "" if row.release is None else str(row.release)
    first = seconds(row.first_token_p50), seconds(row.first_token_p95)
    return plain(row.name), up, release, str(row.running), *first, f"{row.cost_an_hour:.2f}"


def _model(row: Row) -> Cells:
    first = seconds(row.first_token_p50), seconds(row.first_token_p95)
    memory = f"{row.up} of {row.targets}"
    return plain(row.name, 32), memory, str(row.waiting), f"{row.tokens_a_second:.0f}", *first


def _target(one: TargetStatus) -> Cells:
    state = Text(one.state, style=_COLOURS.get(one.state, ""))
    release = "" if one.release is None else str(one.release)
    resident = plain(", ".join(one.resident), 40)
    return plain(one.id, 24), plain(one.site, 14), state, release, str(one.in_flight), resident


def seconds(value: float | None) -> str:
    """Short: `-` for nothing, ms below a second."""
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def plain(text: str, width: int = 20) -> Text:
    """As it is: a name may hold what a terminal or textual's markup would obey."""
    shown = "".join(one if one.isprintable() else "?" for one in text)
    return Text(shown if len(shown) <= width else shown[: width - 1] + "…")
