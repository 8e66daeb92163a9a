"""Plain plots as SVG: lines over hours, and points with their names. No script, no address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import floor, log10

WIDTH, HEIGHT = 900.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 60.0, 20.0, 36.0, 40.0
COLOURS = ("#57606a", "#bf8700", "#8250df", "#0969da", "#1a7f37", "#cf222e")
POINTS_MOST = 1100
NAME_WIDTH, NAME_HEIGHT = 140.0, 13.0


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]], unit: str, marks: Sequence[tuple[float, str]] = ()
) -> str:
    """Each series in a colour of its own; x in hours, marked by days, or as `marks` say."""
    across = max((x for points in series.values() for x, _ in points), default=1.0)
    top = _nice(max((y for points in series.values() for _, y in points), default=1.0))
    drawn = []
    for place, (name, points) in enumerate(series.items()):
        step = max(1, len(points) // POINTS_MOST)
        path = " ".join(f"{_x(x, 0, across):.1f},{_y(y, top):.1f}" for x, y in points[::step])
        colour = COLOURS[place % len(COLOURS)]
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        drawn.append(_text(LEFT + 165 * place, 16, name, colour, "start"))
    return _svg(_axes(marks or _times(across), 0, across, top, unit), drawn)


def _times(across: float) -> list[tuple[float, str]]:
    """Days; hours where there are few."""
    if across > 49.0:
        return [(24.0 * day, f"day {day + 1}") for day in range(int(across // 24) + 1)]
    step = next(step for step in (1, 2, 3, 6) if across / step <= 9 or step == 6)
    return [(float(hour), f"{hour % 24}:00") for hour in range(0, int(across) + 1, step)]


def scatter(points: Sequence[tuple[str, float, float]], x_unit: str, y_unit: str) -> str:
    """Points with names."""
    across = _nice(max((x for _, x, _ in points), default=1.0))
    top = _nice(max((y for _, _, y in points), default=1.0))
    drawn: list[str] = []
    written: list[tuple[float, float]] = []
    for place, (name, x, y) in enumerate(points):
        colour, side = COLOURS[place % len(COLOURS)], "end" if x > across * 0.7 else "start"
        at = _x(x, 0, across), _y(y, top)
        drawn.append(f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="5" fill="{colour}"/>')
        spot = at[0] + (8 if side == "start" else -8), at[1] - 6
        while any(abs(spot[0] - x) < NAME_WIDTH and abs(spot[1] - y) < NAME_HEIGHT for x, y in written):
            spot = spot[0], spot[1] - NAME_HEIGHT
        written.append(spot)
        drawn.append(_text(*spot, name, colour, side))
    marks = [(across * part / 4, f"{across * part / 4:g} {x_unit}") for part in range(5)]
    return _svg(_axes(marks, 0, across, top, y_unit), drawn)


def _axes(marks: Sequence[tuple[float, str]], least: float, across: float, top: float, unit: str) -> list[str]:
    found = []
    for part in range(5):
        value = top * part / 4
        y = _y(value, top)
        found.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#8888" />')
        found.append(_text(LEFT - 6, y + 4, f"{value:g}", "currentColor", "end"))
    found.append(_text(2.0, TOP - 14, unit, "currentColor", "start"))
    found += [_text(_x(at, least, across), HEIGHT - 14, name, "currentColor", "middle") for at, name in marks]
    return found


def _svg(*parts: Sequence[str]) -> str:
    inside = "".join(piece for part in parts for piece in part)
    return f'<svg viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" font-size="12">{inside}</svg>'


def _text(x: float, y: float, text: str, colour: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{escape(text)}</text>'


def _x(value: float, least: float, across: float) -> float:
    return LEFT + (value - least) / (across or 1.0) * (WIDTH - LEFT - RIGHT)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - value / (top or 1.0) * (HEIGHT - TOP - BOTTOM)


def _nice(value: float) -> float:
    """The next round number above."""
    if value <= 0.0:
        return 1.0
    scale = 10.0 ** floor(log10(value))
    return next(step * scale for step in (1.0, 2.0, 4.0, 5.0, 8.0, 10.0) if step * scale >= value)
