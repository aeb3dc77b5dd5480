"""The pictures beside results.json: PNG files whose titles say what they show."""

import itertools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ..utils.shares import stands_out
from .confusion import confusions
from .style import (
    BLUE,
    GRID,
    INK,
    MUTED,
    PAPER,
    RUST,
    STYLE,
    headed_figure,
    legend_above,
    percent,
    save,
    short,
)

MOST_NUMBERED = 20  # classes up to which the confusion matrix has room for numbers
MOST_ROWS = 100  # classes that have room for their names


def write_figures(directory: str | Path, results: dict[str, Any]) -> list[Path]:
    """Draws what results.json holds into `directory`/figures, each file complete or not at all.

    The numbers are those of a single look, of the test split if it is there.

    Args:
        directory: Exists; its folder `figures` is made.
        results: Content of results.json; without "training" there are no learning curves.

    Returns:
        The files written: learning_curves, confusion_matrix, reliability, reliability_calibrated
        and per_class, all .png.

    Raises:
        OSError: If a file cannot be written.
    """
    split = next(name for name in ("test", "validation", "train") if results.get(name))
    report, names = results[split]["plain"], results["dataset"]["label_names"]
    folder = Path(directory) / "figures"
    folder.mkdir(exist_ok=True)
    drawings: dict[str, Callable[[], Figure]] = {
        "confusion_matrix": lambda: confusion_matrix(report, names, split),
        "reliability": lambda: reliability(report, split),
        "per_class": lambda: per_class(report, split),
    }
    if calibrated := results[split].get("calibrated"):
        drawings["reliability_calibrated"] = lambda: reliability(calibrated, split, "calibrated")
    if results.get("training", {}).get("epochs"):
        drawings["learning_curves"] = lambda: learning_curves(results["training"])
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # A class name in a script that the font lacks is drawn as boxes; that is no error.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font|Matplotlib currently")
        return [save(draw(), folder / f"{name}.png") for name, draw in drawings.items()]


def learning_curves(training: dict[str, Any]) -> Figure:
    """Loss and validation accuracy by epoch; without validation only the training loss."""
    rows = training["epochs"]
    checked = [row for row in rows if row["validation_accuracy"] is not None]
    if checked:
        best = max(checked, key=lambda row: row["validation_accuracy"])
        title = (
            f"Validation accuracy reaches {percent(best['validation_accuracy'])} "
            f"in epoch {best['epoch']} of {rows[-1]['epoch']}"
        )
    elif len(rows) == 1:
        title = f"Training loss is {rows[0]['train_loss']:.2f} after one epoch"
    else:
        title = (
            f"Training loss goes from {rows[0]['train_loss']:.2f} to {rows[-1]['train_loss']:.2f}"
        )
    smoothing = training.get("recipe", {}).get("label_smoothing", 0)
    note = f"Training loss: on augmented images, label smoothing {smoothing:g}"
    figure = headed_figure(8 if checked else 5.5, 3.4, title, note)
    axes = figure.subplots(1, 2 if checked else 1, squeeze=False)[0]
    _curve(axes[0], rows, "train_loss", BLUE, "training")
    if checked:
        _curve(axes[0], checked, "validation_loss", RUST, "validation")
        legend_above(axes[0])
        _curve(axes[1], checked, "validation_accuracy", RUST, "validation")
        axes[1].set_ylabel("validation accuracy")
        axes[1].yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes[0].set_ylabel("loss, nats")
    for ax in axes:
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.margins(y=0.12)
        if len(rows) == 1:
            ax.set_xticks([rows[0]["epoch"]])
    return figure


def confusion_matrix(report: dict[str, Any], names: list[str], split: str) -> Figure:
    """Rows are true classes; what is right is blue, what is wrong rust, each on its own scale.

    Of many classes it shows the `MOST_ROWS` that are taken for one another most often.
    """
    rows = confusions(report)
    pairs = [(n, i, j) for i, row in enumerate(rows) for j, n in row.items() if i != j]
    pairs.sort(key=lambda pair: -pair[0])
    # Each class once, those of the most frequent pairs first, then the others as they come.
    ranked = dict.fromkeys(itertools.chain(*(pair[1:] for pair in pairs), range(len(names))))
    shown = sorted(itertools.islice(ranked, MOST_ROWS))
    matrix = np.array([[rows[i].get(j, 0) for j in shown] for i in shown], dtype=float)  # (C, C)
    support = np.array([[max(sum(rows[i].values()), 1)] for i in shown])  # (C, 1)
    share, classes = matrix / support, len(shown)
    right = np.eye(classes, dtype=bool)
    numbered = classes <= MOST_NUMBERED
    side = max(6.0, 0.56 * classes if numbered else 3.5 + 0.105 * classes)
    title = f"No {split} image is misclassified"
    if report["most_confused"]:
        worst = report["most_confused"][0]
        often = "once" if worst["count"] == 1 else f"{worst['count']:,} times"
        title = f"{short(worst['true'])} is taken for {short(worst['predicted'])} {often}"
    note = f"{report['count']:,} {split} images, {percent(report['accuracy'])} right"
    if numbered:
        note += "; blue: % of the class, rust: images"
    if classes < len(names):
        note += f"; the {classes} most confused of {len(names):,} classes"
    figure = headed_figure(side, side, title, note)
    ax = figure.subplots()
    for part, color, top in ((right, BLUE, 1.0), (~right, RUST, share[~right].max(initial=0))):
        shades = LinearSegmentedColormap.from_list("shades", [PAPER, color])
        masked = np.ma.masked_array(share, ~part)
        norm = PowerNorm(0.7, 0, top or 1)  # lifts what is rare into sight
        ax.imshow(masked, cmap=shades, norm=norm, interpolation="nearest")
    _class_axes(ax, [names[i] for i in shown])
    if numbered:
        _cell_numbers(ax, matrix, share)
    return figure


def reliability(report: dict[str, Any], split: str, state: str = "") -> Figure:
    """Accuracy of each confidence bin against the diagonal, over the bins' sizes."""
    bins = [row for row in report["reliability"] if row["count"]]
    gap = sum(r["count"] * (r["confidence"] - r["accuracy"]) for r in bins) / report["count"]
    points = f"{abs(gap) * 100:.1f} points"
    subject = f"{state} confidence".strip().capitalize()
    title = f"{subject} is on average {points} too {'high' if gap > 0 else 'low'}"
    if abs(gap) < 0.0005:
        title = f"{subject} is on average right"
    ece = percent(report["ece"], digits=2)
    note = f"{report['count']:,} {split} images; expected calibration error {ece}"
    figure = headed_figure(5.5, 5.6, title, note)
    ax, counts = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    middle = [(row["low"] + row["high"]) / 2 for row in bins]
    width = 0.86 / len(report["reliability"])
    stated, reached = ([row[k] for row in bins] for k in ("confidence", "accuracy"))
    ax.bar(middle, reached, width, color=BLUE, label="accuracy reached")
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    ax.plot(stated, stated, "o", color=RUST, markersize=5, label="confidence stated")
    ax.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="accuracy")
    counts.bar(middle, [row["count"] / report["count"] for row in bins], width, color=MUTED)
    counts.set(xlabel="confidence", ylabel="images")
    counts.yaxis.set_major_locator(MaxNLocator(2))
    counts.tick_params(axis="x", pad=7)
    legend_above(ax)
    for axis in (ax.yaxis, counts.yaxis, counts.xaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    return figure


def per_class(report: dict[str, Any], split: str) -> Figure:
    """Precision and recall of each class, the one that is found most often on top."""
    ranked = sorted(report["per_class"].items(), key=lambda item: item[1]["recall"])
    (worst, low), (best, high) = ranked[0], ranked[-1]
    title = f"{short(worst)} is found least often, {short(best)} most often"
    if not stands_out(report["per_class"].values()):
        title = "No class is found much less often than the others"
    found = f"{percent(low['recall'])} and {percent(high['recall'])} found"
    note = f"{found}; {report['count']:,} {split} images"
    if len(ranked) > MOST_ROWS:
        note += f"; the {MOST_ROWS} found least often of {len(ranked)} classes"
        ranked = ranked[:MOST_ROWS]
    step = 0.3 if len(ranked) <= MOST_NUMBERED else 0.17
    figure = headed_figure(6.5, 1.4 + step * len(ranked), title, note)
    ax = figure.subplots()
    rows = np.arange(len(ranked))
    precision, recall = ([row[k] for _, row in ranked] for k in ("precision", "recall"))
    ax.hlines(rows, precision, recall, color=GRID, linewidth=3, zorder=1)
    ax.scatter(precision, rows, s=46, color=BLUE, label="precision")
    ax.scatter(recall, rows, s=18, color=RUST, label="recall")
    ax.set_yticks(rows, [short(name) for name, _ in ranked], color=INK)
    ax.set_ylim(-0.7, len(ranked) - 0.3)
    ax.yaxis.grid(False)
    ax.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    low_end = min(*precision, *recall, 0.95)
    ax.set_xlim(low_end - 0.03 * (1 - low_end), 1 + 0.03 * (1 - low_end))
    ax.tick_params(axis="y", labelsize=9 if len(ranked) <= MOST_NUMBERED else 7)
    ax.spines["left"].set_visible(False)
    legend_above(ax)
    return figure


def _curve(ax: Axes, rows: list[dict[str, Any]], key: str, color: str, label: str) -> None:
    x, y = [row["epoch"] for row in rows], [row[key] for row in rows]
    size = 3.5 if len(rows) <= 40 else 0  # a point each epoch, while they stand apart
    ax.plot(x, y, color=color, label=label, marker="o", markersize=size, linewidth=1.6)


def _class_axes(ax: Axes, names: list[str]) -> None:
    few = len(names) <= MOST_NUMBERED
    style: Any = {"fontsize": 9 if few else 6, "color": INK}
    shown = [short(name) for name in names]
    ax.set_xticks(range(len(names)), shown, rotation=90, **style)
    ax.set_yticks(range(len(names)), shown, **style)
    if few:
        for label in ax.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.grid(False)
    lines = np.arange(0, len(names) + 1, 1 if few else 5) - 0.5
    for draw in (ax.hlines, ax.vlines):
        draw(lines, -0.5, len(names) - 0.5, color=GRID, linewidth=0.5)
    ax.spines[:].set_visible(False)


def _cell_numbers(ax: Axes, matrix: np.ndarray, share: np.ndarray) -> None:
    wrong = share[~np.eye(len(share), dtype=bool)].max(initial=0)
    for (i, j), count in np.ndenumerate(matrix):
        if count:
            dark = share[i, j] > (0.5 if i == j else 0.6 * wrong)
            text = f"{share[i, j] * 100:.1f}" if i == j else f"{count:.0f}"
            style: Any = {"color": PAPER if dark else INK, "weight": "bold" if i == j else "normal"}
            ax.text(j, i, text, ha="center", va="center", fontsize=8, **style)
