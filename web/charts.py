"""Charts as HTML and SVG text: they follow the page's colours, in light and dark, without a script.

Every chart names itself to a screen reader; what it shows stands beside it in words or numbers.
"""

import base64
import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np

from model.utils.pixels import png

WIDTH, HEIGHT = 360, 220  # of the drawing; it fills a phone's width and scales up from there
LEFT, RIGHT, TOP, BOTTOM = 44, 344, 10, 186  # of the plane inside the drawing


class Series(NamedTuple):
    """One curve: its name, its colour ("good", "bad" or "quiet"), and its points."""

    name: str
    color: str
    points: Sequence[tuple[float, float]]
    dots: bool = True


def percent(share: float, digits: int = 1) -> str:
    """0.931 as "93.1 %", with a space that does not break."""
    return f"{share * 100:.{digits}f}\N{NO-BREAK SPACE}%"


def duration(seconds: float) -> str:
    """In seconds, minutes or hours, whichever reads best."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def cards(rows: Iterable[tuple[str, str]]) -> str:
    """Headline numbers: (number, what it means)."""
    inside = "".join(
        f'<div class="card"><dt>{escape(meaning)}</dt><dd>{escape(number)}</dd></div>'
        for number, meaning in rows
    )
    return f'<dl class="cards">{inside}</dl>'


def figure(title: str, chart: str, note: str) -> str:
    """A chart under its headline and a note."""
    return f'<figure><h3>{escape(title)}</h3><p class="note">{escape(note)}</p>{chart}</figure>'


def legend(series: Iterable[Series]) -> str:
    """The names of curves beside their colours."""
    rows = "".join(f'<li><i class="{s.color}"></i>{escape(s.name)}</li>' for s in series)
    return f'<ul class="legend">{rows}</ul>'


def bars(head: tuple[str, str, str], rows: Iterable[tuple[str, float, list[str]]]) -> str:
    """A table of names, bars and two numbers each; `head` names all but the bars."""
    name, *values = (f'<th scope="col">{escape(text)}</th>' for text in head)
    body = "".join(
        f'<tr><th scope="row">{escape(label)}</th>'
        f'<td class="track"><i style="width: {min(share, 1) * 100:.1f}%"></i></td>'
        + "".join(f"<td>{number}</td>" for number in numbers)
        + "</tr>"
        for label, share, numbers in rows
    )
    return (
        f'<div class="scroll"><table class="bars"><thead><tr>{name}<td></td>{"".join(values)}'
        f"</tr></thead><tbody>{body}</tbody></table></div>"
    )


def by_epoch(
    series: Series, *, share: bool = False, within: tuple[float, float] | None = None
) -> str:
    """A curve under its name.

    Args:
        series: What to draw; without points it leaves an empty plane of the same size.
        share: Whether values are fractions, shown as percent.
        within: Ends of both axes, which begin at zero, for a curve that grows; None fits the curve.
    """
    xs, ys = zip(*series.points or [(0.0, 0.0), (1.0, 1.0)], strict=True)
    first, last, low, high = min(xs), max(xs), min(ys), max(ys)
    if within is not None:
        first, last, low, high = 0.0, within[0], 0.0, within[1]
    x_ticks = [tick for tick in ticks(first, last, whole=True) if first <= tick <= last]
    y_ticks = [tick for tick in ticks(low, high) if not share or tick <= 1.0001]
    plane = Plane((first, last), (y_ticks[0], y_ticks[-1]))
    rules = [(t, f"{t * 100:g} %" if share else f"{t:g}") for t in y_ticks]
    reached = percent(ys[-1]) if share else f"{ys[-1]:.2f}"
    label = f"{series.name} by epoch" + (f", at last {reached}" if series.points else "")
    grid = plane.grid([(t, f"{t:g}") for t in x_ticks], rules, "epoch")
    return legend([series]) + _svg([grid, plane.curve(series)], label)


def reliability(bins: dict[str, Sequence[dict[str, Any]]], *, label: str) -> str:
    """Accuracy reached against probability stated, over the diagonal of a perfect classifier.

    Args:
        bins: By colour, rows as results.json holds them; the area of a dot is the share of images.
        label: Read out instead of the drawing.
    """
    plane = Plane((0, 1), (0, 1))
    steps = [(i / 4, f"{i * 25} %") for i in range(5)]
    parts = [plane.grid(steps, steps, "probability stated")]
    (x0, y0), (x1, y1) = plane.at(0, 0), plane.at(1, 1)
    parts.append(f'<line class="ideal" x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}"/>')
    for color, rows in bins.items():
        filled = [row for row in rows if row["count"]]
        points = [(row["confidence"], row["accuracy"]) for row in filled]
        parts.append(plane.curve(Series("", f"{color} thin", points, dots=False)))
        total = sum(row["count"] for row in filled)
        for row, (stated, reached) in zip(filled, points, strict=True):
            cx, cy = plane.at(stated, reached)
            radius = 2 + 6 * math.sqrt(row["count"] / total)
            parts.append(f'<circle class="dot {color}" cx="{cx}" cy="{cy}" r="{radius:.1f}"/>')
    return _svg(parts, label)


def ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Three to six round numbers that enclose a range."""
    span = max(high - low, 1e-9 if not whole else 1.0)
    if not whole and span < 1e-6:
        span = max(abs(high), 1.0)
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(power * m for m in (1, 2, 5, 10) if span / (power * m) <= 6)
    if whole:
        step = max(1.0, math.ceil(step))
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [round(i * step, 9) for i in range(first, last + 1)]


def data_uri(pixels: np.ndarray) -> str:
    """A small picture, uint8 (H, W, 3), as something an <img> can show."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()


class Plane:
    """Where values lie in the drawing."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.x, self.y = x, y

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a point."""
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        up = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return round(LEFT + across * (RIGHT - LEFT), 1), round(BOTTOM - up * (BOTTOM - TOP), 1)

    def grid(
        self, x: Iterable[tuple[float, str]], y: Iterable[tuple[float, str]], name_of_x: str
    ) -> str:
        """Horizontal rules, names of values along both axes, and that of the x axis."""
        parts = [_text((LEFT + RIGHT) / 2, HEIGHT - 4, name_of_x, "middle")]
        for value, name in y:
            _, at = self.at(self.x[0], value)
            parts.append(f'<line class="rule" x1="{LEFT}" x2="{RIGHT}" y1="{at}" y2="{at}"/>')
            parts.append(_text(LEFT - 6, at + 3.5, name, "end"))
        for value, name in x:
            at, _ = self.at(value, self.y[0])
            parts.append(_text(at, BOTTOM + 15, name, "middle"))
        return "".join(parts)

    def curve(self, series: Series) -> str:
        """One curve, with a dot a point while the points stand apart."""
        places = [self.at(*point) for point in series.points]
        path = " ".join(f"{x},{y}" for x, y in places)
        drawn = f'<polyline class="curve {series.color}" points="{path}"/>' if path else ""
        if series.dots and len(places) <= 40:
            drawn += "".join(
                f'<circle class="dot {series.color}" cx="{x}" cy="{y}" r="2.5"/>' for x, y in places
            )
        return drawn


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(parts: Iterable[str], label: str) -> str:
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}"'
    return f'<svg {box} role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
