"""What results.json tells, section by section, as HTML; every sentence is made from its numbers.

The rest of it stands in the model card.
"""

from collections.abc import Callable
from typing import Any

from model.utils.shares import interval, stands_out
from web import charts
from web.charts import Series, percent

Results = dict[str, Any]
SPLITS = ("test", "validation", "train")
UNREADABLE = (AttributeError, IndexError, KeyError, TypeError, ValueError, ZeroDivisionError)
MISSING = (
    "This model came without results.json, so nothing is known about how good it is. "
    "python -m model.evaluation MODEL --dataset NAME measures it."
)
REMARKABLE = 0.02  # distance of mean probability and accuracy that the headline tells
VAGUE = 0.04  # width of the interval of an accuracy from which on it is told
MOST_BARS = 20  # classes that are shown, the worst


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
    """Numbers of that split, at a single look."""
    report: dict[str, Any] = results[split_of(results)]["plain"]
    return report


def headline(results: Results) -> str:
    """The numbers that a visitor wants first."""
    split, report = split_of(results), report_of(results)
    calibration = results.get("calibration") or {}
    rows = []
    if answered := results[split].get("calibrated"):
        meaning = "as this page answers, from an image and its mirror image"
        rows.append((percent(answered["accuracy"], 2), meaning))
    named = f"of {report['count']:,} {split} images named at a single look each"
    low, high = interval(report["accuracy"], report["count"])
    if high - low > VAGUE:
        named += f": so few that {percent(low, 0)} to {percent(high, 0)} are possible"
    rows.append((percent(report["accuracy"], 2), named))
    off = "how far stated probabilities are off"
    if after := calibration.get("test"):
        rows.append((percent(after["ece"], 2), f"{off} after calibration"))
    else:
        rows.append((percent(report["ece"], 2), off))
    if (sure := calibration.get("confident")) and sure["accuracy"] is not None:
        meaning = f"right where it is confident: on {percent(sure['share'])} of the images"
        rows.append((percent(sure["accuracy"], 2), meaning))
    photographs = results.get("photographs") or {}
    if (right := photographs.get("right_when_confident")) and right["share"] is not None:
        sure = photographs["confident"]
        meaning = f"right where it is confident of a photograph: of {percent(sure['share'])}"
        rows.append((percent(right["share"]), f"{meaning} of {sure['count']:,}"))
        strangers = photographs["strangers_confident"]
        meaning = f"of {strangers['count']:,} photographs of something else are named confidently"
        rows.append((percent(strangers["share"]), meaning))
    if scope := results.get("scope"):
        noticed = percent(1 - scope["as_sent"]["mean"]["accepted"])
        rows.append((noticed, "of generated pictures of other things get no class's name"))
    rows.append((f"{results['model']['parameters'] / 1e6:.2f} M", "parameters"))
    if training := results.get("training"):
        rows.append((charts.duration(training["seconds"]), "training time"))
    return charts.cards(rows)


def per_class(results: Results) -> str:
    """Bars of what each class misses, the worst on top."""
    classes = report_of(results)["per_class"]
    ranked = sorted(classes.items(), key=lambda item: item[1]["recall"])
    missed = [(name, 1 - row["recall"], percent(row["precision"])) for name, row in ranked]
    (worst, most, _), (best, _, _) = missed[0], missed[-1]
    title = f"{worst[:1].upper()}{worst[1:]} is missed most, {best} least"
    if not stands_out(classes.values()):
        title = "No class is missed much more often than the others"
    bars = [
        (name, share / (most or 1), [percent(share), right])
        for name, share, right in missed[:MOST_BARS]
    ]
    which = f" The worst {len(bars)} of {len(missed):,}." if len(bars) < len(missed) else ""
    table = charts.bars(("class", "missed", "right when named"), bars)
    confused = [pair for pair in report_of(results)["most_confused"] if pair["true"] == worst][:3]
    taken = ", ".join(f"{pair['predicted']} ({pair['count']:,})" for pair in confused)
    why = f" A missed {worst} is mostly taken for {taken}." if taken else ""
    note = f"Bars: share of a class's pictures that get another name.{which}{why}"
    return charts.figure(title, table, note)


def reliability(results: Results) -> str:
    """Stated probability against accuracy, before and after calibration, and what mends it."""
    report, calibration = report_of(results), results.get("calibration") or {}
    trained, after = report["reliability"], calibration.get("test", {})
    bins, names = {"bad": trained}, [Series("as trained", "bad", ())]
    off = f"Stated probabilities are off by {percent(report['ece'], 2)}"
    if after.get("reliability"):
        bins = {"quiet": trained, "good": after["reliability"]}
        names = [Series("as trained", "quiet", ()), Series("calibrated", "good", ())]
        off += f" as trained, by {percent(after['ece'], 2)} calibrated"
    filled = [row for row in after.get("reliability") or trained if row["count"]]
    gaps = [row["count"] * (row["confidence"] - row["accuracy"]) for row in filled]
    gap = sum(gaps) / sum(row["count"] for row in filled)  # mean probability minus accuracy
    title = "Its probabilities can be taken at their word"
    if abs(gap) >= REMARKABLE:
        title = f"It is {abs(gap) * 100:.0f} points too {'sure' if gap > 0 else 'modest'}"
    note = (
        f"{off} (ECE, 15 bins). On the dashed line, 80 % sure means right 80 times in 100. The "
        "larger a dot, the more images."
    )
    if by := calibration.get("temperature"):
        note += (
            f" Scores are divided by a temperature of {by:.2f}, found on "
            f"{calibration['images']:,} images held back from training: that makes them "
            f"{'more' if by < 1 else 'less'} sure and changes no answer."
        )
    chart = charts.reliability(bins, label=f"Reliability diagram. {note}")
    return charts.figure(title, charts.legend(names) + chart, note)


def learning_curves(results: Results) -> str:
    """Accuracy and loss by epoch."""
    rows = results["training"]["epochs"]
    losses = [(row["epoch"], row["train_loss"]) for row in rows]
    drawn = [charts.by_epoch(Series("loss on training images", "bad", losses))]
    title = f"Training loss falls to {losses[-1][1]:.2f}"
    checked = [(row["epoch"], row["validation_accuracy"]) for row in rows]
    if points := [point for point in checked if point[1] is not None]:
        series = Series("accuracy on images held back", "good", points)
        drawn.insert(0, charts.by_epoch(series, share=True))
        title = f"{percent(points[-1][1])} after {rows[-1]['epoch']} epochs"
    parts = "".join(f"<div>{one}</div>" for one in drawn)
    note = "An epoch is one pass over all training images."
    return charts.figure(title, f'<div class="grid">{parts}</div>', note)
