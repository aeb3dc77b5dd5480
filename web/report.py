"""What results.json tells, section by section, as HTML; every sentence is made from its numbers."""

from collections.abc import Callable
from html import escape
from typing import Any

from model.evaluation.confusion import confusions
from web import charts
from web.charts import Series, percent

Results = dict[str, Any]
SPLITS = ("test", "validation", "train")
UNREADABLE = (AttributeError, IndexError, KeyError, TypeError, ValueError, ZeroDivisionError)
MISSING = (
    "This model came without results.json, so nothing is known about how good it is. "
    "python -m model.evaluation MODEL --dataset NAME measures it."
)


def section(write: Callable[[Results], str], results: Results) -> str:
    """One section; a sentence where results.json lacks it or holds something else."""
    try:
        return write(results)
    except UNREADABLE:
        return '<p class="note">results.json does not hold the numbers of this part.</p>'


def split_of(results: Results) -> str:
    """The split that the page tells about: the test images where they were measured."""
    return next((name for name in SPLITS if results.get(name)), SPLITS[0])


def report_of(results: Results) -> dict[str, Any]:
    """Numbers of that split, without test-time augmentation."""
    report: dict[str, Any] = results[split_of(results)]["plain"]
    return report


def headline(results: Results) -> str:
    """The numbers that a visitor wants first."""
    split, report = split_of(results), report_of(results)
    rows = [
        (
            percent(report["accuracy"], 2),
            f"of {report['count']:,} {split} images named at a single look each",
        )
    ]
    if averaged := results[split].get("tta"):
        rows.append((percent(averaged["accuracy"], 2), "averaged over six views of each image"))
    if answered := results[split].get("calibrated"):
        meaning = "as this page answers, from an image and its mirror image"
        rows.insert(0, (percent(answered["accuracy"], 2), meaning))
    calibration = results.get("calibration") or {}
    after = calibration.get("test", {}).get("ece")
    error = report["ece"] if after is None else after
    when = "" if after is None else " after calibration"
    rows.append((percent(error, 2), f"how far stated probabilities are off{when}"))
    if sure := calibration.get("confident"):
        meaning = f"right where it is confident: on {percent(sure['share'])} of the images"
        rows.append((percent(sure["accuracy"], 2), meaning))
    rows.append((f"{results['model']['parameters'] / 1e6:.2f} M", "parameters"))
    if training := results.get("training"):
        rows.append((_duration(training["seconds"]), "training time"))
    return charts.cards(rows)


def hardest(results: Results) -> str:
    """The class with the lowest F1, in plain words and with the numbers behind them."""
    report, names = report_of(results), results["dataset"]["label_names"]
    classes, matrix = report["per_class"], confusions(report)
    worst = min(names, key=lambda name: classes[name]["f1"])
    row = matrix[names.index(worst)]
    support, found = sum(row.values()), row.get(names.index(worst), 0)
    title = f"<h3>The hardest class: {escape(worst)}</h3>"
    if found == support and classes[worst]["f1"] == 1:
        return "<h3>No class is harder than another</h3>"
    words = (
        f"Of {support:,} {worst} pictures {found:,} are named {worst}; {support - found:,} are "
        f"not. {_taken_for(worst, row, names)}",
        _mutual(worst, matrix, names),
    )
    return title + "".join(f"<p>{escape(text.strip())}</p>" for text in words if text)


def _taken_for(name: str, row: dict[int, int], names: list[str]) -> str:
    """What the missed pictures of a class are taken for most often."""
    wrong = [(count, names[i]) for i, count in row.items() if names[i] != name]
    top = [f"{other} ({count:,})" for count, other in sorted(wrong, reverse=True)[:3]]
    return f"They are taken for {', '.join(top)}." if top else ""


def _mutual(worst: str, matrix: list[dict[int, int]], names: list[str]) -> str:
    """How much of all that goes wrong is the hardest class and its double."""
    me = names.index(worst)
    others = [i for i in range(len(names)) if i != me]
    both = {i: matrix[me].get(i, 0) + matrix[i].get(me, 0) for i in others}
    double = max(others, key=lambda i: both[i])
    mixed = both[double]
    wrong = sum(count for i, row in enumerate(matrix) for j, count in row.items() if i != j)
    if not mixed:
        return ""
    called = sum(matrix[i].get(me, 0) for i in others)
    return (
        f"It goes both ways: {called:,} pictures of other things are called {worst}. Mixing up "
        f"{worst} and {names[double]} makes {mixed:,} of all {wrong:,} mistakes, "
        f"{percent(mixed / wrong, 0)}. Where the answer is one of the two, look at the second "
        "most probable class as well."
    )


def per_class(results: Results) -> str:
    """Bars of what each class misses, the worst on top."""
    classes = report_of(results)["per_class"]
    ranked = sorted(classes.items(), key=lambda item: item[1]["recall"])
    most = max(1 - row["recall"] for _, row in ranked) or 1
    bars = [
        (
            name,
            (1 - row["recall"]) / most,
            [percent(1 - row["recall"]), percent(row["precision"])],
        )
        for name, row in ranked
    ]
    worst, best = ranked[0][0], ranked[-1][0]
    title = f"{worst.capitalize()} is missed most, {best} least"
    if ranked[0][1]["recall"] == ranked[-1][1]["recall"]:
        title = "All classes are missed equally often"
    table = charts.bars(("class", "missed", "right when named"), bars)
    return charts.figure(title, table, "Bars: share of a class's pictures that get another name.")


def learning_curves(results: Results) -> str:
    """Accuracy and loss by epoch."""
    rows = results["training"]["epochs"]
    checked = [row for row in rows if row["validation_accuracy"] is not None]
    loss = [Series("loss on training images", "bad", [(r["epoch"], r["train_loss"]) for r in rows])]
    charts_ = []
    title = f"Training loss falls to {rows[-1]['train_loss']:.2f}"
    if checked:
        points = [(row["epoch"], row["validation_accuracy"]) for row in checked]
        one = Series("accuracy on images held back", "good", points)
        title = f"{percent(points[-1][1])} after {rows[-1]['epoch']} epochs"
        label = f"Validation accuracy by epoch, from {percent(points[0][1])} up: {title}."
        charts_.append((one, charts.curves([one], label=label, x="epoch", share=True)))
    label = f"Training loss by epoch, {rows[0]['train_loss']:.2f} to {rows[-1]['train_loss']:.2f}."
    charts_.append((loss[0], charts.curves(loss, label=label, x="epoch")))
    drawn = "".join(f"<div>{charts.legend([one])}{drawing}</div>" for one, drawing in charts_)
    note = "An epoch is one pass over all training images."
    return charts.figure(title, f'<div class="grid">{drawn}</div>', note)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
