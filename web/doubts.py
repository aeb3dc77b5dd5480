"""What results.json tells about doubt: can the probabilities and the verdicts be believed?"""

from typing import Any

from web import charts
from web.charts import Series, percent
from web.report import Results, report_of

REMARKABLE = 0.02  # distance of mean probability and accuracy that the headline tells


def reliability(results: Results) -> str:
    """Stated probability against accuracy, before and after calibration, and what mends it."""
    report, calibration = report_of(results), results.get("calibration") or {}
    after = calibration.get("test", {})
    bins, names = {"bad": report["reliability"]}, [Series("as trained", "bad", ())]
    off = f"Stated probabilities are off by {percent(report['ece'], 2)}"
    if after.get("reliability"):
        bins = {"quiet": report["reliability"], "good": after["reliability"]}
        names = [Series("as trained", "quiet", ()), Series("calibrated", "good", ())]
        off += f" as trained, by {percent(after['ece'], 2)} calibrated"
    gap = _gap(after.get("reliability") or report["reliability"])
    title = "Its probabilities can be taken at their word"
    if abs(gap) >= REMARKABLE:
        title = f"It is {abs(gap) * 100:.0f} points too {'sure' if gap > 0 else 'modest'}"
    note = (
        f"{off} (ECE, 15 bins). On the dashed line, 80 % sure means right 80 times in 100. The "
        "larger a dot, the more images."
    )
    chart = charts.reliability(bins, label=f"Reliability diagram. {note}")
    drawn = charts.figure(title, chart, note, charts.legend(names))
    return drawn + _temperature(calibration, report)


def _temperature(calibration: dict[str, Any], report: dict[str, Any]) -> str:
    """What calibration does, in plain words."""
    if "temperature" not in calibration:
        return ""
    by, gap = calibration["temperature"], _gap(report["reliability"])
    was = "too sure" if gap > 0 else "too modest"
    return (
        f'<p class="note">As trained, the network is {was}. One number mends that: its scores are '
        f"divided by a temperature of {by:.2f} before they become probabilities, which makes them "
        f"{'more' if by < 1 else 'less'} sure and changes no answer. It was found on "
        f"{calibration['images']:,} images held back from training.</p>"
    )


def _gap(bins: list[dict[str, Any]]) -> float:
    """Mean stated probability minus accuracy."""
    filled = [row for row in bins if row["count"]]
    total = sum(row["count"] for row in filled)
    gaps: float = sum(row["count"] * (row["confidence"] - row["accuracy"]) for row in filled)
    return gaps / total


def verdicts(results: Results) -> str:
    """How often it says "This is a ...", and how often that is right."""
    sure = (results.get("calibration") or {}).get("confident")
    if not sure:
        return ""
    accuracy, share = results["calibration"]["test"]["accuracy"], sure["share"]
    rest = 1 - share
    rows = [("confident", share, sure["accuracy"])]
    if rest > 0:
        rows.append(("the rest", rest, (accuracy - share * sure["accuracy"]) / rest))
    rows.append(("all", 1.0, accuracy))
    bars = [(name, right, [percent(part), percent(right)]) for name, part, right in rows]
    note = (
        f"It says “This is a …” from a probability of {percent(sure['threshold'], 0)} on, "
        "otherwise it names the two likeliest classes. Bars: how often the likeliest is right."
    )
    head = ("answers", "of test images", "right")
    title = f"When it is confident, it is right {percent(sure['accuracy'])} of the time"
    return charts.figure(title, charts.bars(head, bars, good=True), note)


def out_of_scope(results: Results) -> str:
    """How well pictures of other things are told apart."""
    scope = results.get("scope")
    if not scope:
        return ""
    sent = scope["as_sent"]
    kinds = sorted(sent["kinds"].items(), key=lambda item: -item[1]["accepted"])
    bars = [
        (
            kind,
            row["accepted"],
            [percent(row["accepted"]), f"{scope['kinds'][kind]['auroc']:.3f}"],
        )
        for kind, row in kinds
    ]
    kept = scope["kept"].get("test", scope["kept"]["validation"])
    note = (
        "Bars: pictures of none of the classes that still get a class's name. The limit is set so "
        f"that {percent(kept, 0)} of test images pass. AUROC, where 1 is perfect and 0.5 is "
        f"chance, is {scope['mean_auroc']:.3f} on average, by {scope['method']}."
    )
    title = f"It notices {percent(1 - sent['mean']['accepted'], 0)} of the pictures of other things"
    head = ("pictures of", "wrongly accepted", "AUROC")
    return charts.figure(title, charts.bars(head, bars), note)


def explanations(results: Results) -> str:
    """Which method draws the heat-map, and what it was compared with."""
    found = results.get("explanations")
    if not found:
        return ""
    rows = sorted(found["methods"].items(), key=lambda item: item[1]["deletion"])
    most = max(row["deletion"] for _, row in rows) or 1
    bars = [
        (name, row["deletion"] / most, [f"{row['deletion']:.3f}", f"{row['insertion']:.3f}"])
        for name, row in rows
    ]
    note = (
        f"The heat-map shows {found['method']}. Measured on {found['images']:,} test images: how "
        "sure the network stays while the places marked hottest are taken away (deletion, lower "
        "is better), and how sure it gets when only they are shown (insertion, higher is better)."
    )
    head = ("method", "deletion", "insertion")
    return charts.figure("The heat-map marks what counts", charts.bars(head, bars), note)


def small_objects(results: Results) -> str:
    """What a closer look at parts of a large picture gains."""
    found = results.get("small_objects")
    if not found:
        return ""
    cases = [(name, row) for name, row in found["cases"].items() if row["whole"]["right"] > 0]
    bars = [
        (name, row["closer"]["right"], [percent(row[way]["right"]) for way in ("whole", "closer")])
        for name, row in cases
    ]

    def mean(key: str, way: str) -> str:
        return percent(sum(row[way][key] for _, row in cases) / len(cases), 0)

    note = (
        f"{found['images']:,} test images pasted into a canvas of {found['canvas']} pixels, at "
        f"each size. Looking at parts too (the bars), where the whole leaves doubt, finds "
        f"{mean('right', 'closer')} instead of {mean('right', 'whole')}. The price: a wrong name "
        f"in {mean('named and wrong', 'closer')} instead of {mean('named and wrong', 'whole')} of "
        "the cases; those that come on top are never called sure."
    )
    head = ("test image", "whole", "parts too")
    return charts.figure("Small things in large photos", charts.bars(head, bars, good=True), note)
