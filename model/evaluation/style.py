"""How the figures look: colours, type, headlines."""

import io
import textwrap
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..utils import files

INK, MUTED, GRID, PAPER = "#1f2933", "#6b7680", "#e3e7eb", "#fcfcfa"
BLUE, RUST = "#2b6195", "#c4552d"
DPI = 150

STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture everywhere
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a class name is a dollar sign
    "axes.edgecolor": GRID,
    "axes.facecolor": PAPER,
    "axes.labelcolor": MUTED,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "figure.facecolor": PAPER,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
}


def headed_figure(width: float, height: float, title: str, note: str) -> Figure:
    """An empty figure, in inches, with a headline and a smaller note that axes keep clear of."""
    figure = Figure(figsize=(width, height), layout="constrained")
    title = textwrap.fill(title, int(width * 9))
    note = textwrap.fill(note, int(width * 13))
    left, top = 0.12 / width, 1 - 0.12 / height
    header = 0.23 * (title.count("\n") + 1)
    figure.text(left, top, title, fontsize=12.5, weight="bold", va="top")
    figure.text(left, top - header / height, note, fontsize=9, color=MUTED, va="top")
    header += 0.18 * (note.count("\n") + 1) + 0.2
    engine: Any = figure.get_layout_engine()
    engine.set(rect=(0, 0, 1, 1 - header / height), w_pad=0.12, h_pad=0.1)
    return figure


def legend_above(ax: Axes) -> None:
    """Puts the names of what is drawn in a line over the axes."""
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2, borderpad=0.2)


def percent(fraction: float, digits: int = 1) -> str:
    """0.931 as "93.1 %"."""
    return f"{fraction * 100:.{digits}f} %"


def short(name: str) -> str:
    """A class name that fits under a small picture."""
    return name if len(name) <= 20 else f"{name[:19]}…"


def save(figure: Figure, path: Path) -> Path:
    """Writes a PNG file, complete or not at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    files.write_bytes(path, buffer.getvalue())
    return path
