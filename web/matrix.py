"""The confusion matrix as a table of buttons, which arrow keys walk through."""

from html import escape
from typing import Any

import numpy as np

from model.evaluation.confusion import confusions
from web.charts import percent
from web.report import Results, report_of

MOST_CLASSES = 20  # that have room in the page; beyond them, a list of the worst pairs


def matrix(results: Results) -> str:
    """A table for a few classes, otherwise the pairs that go wrong most often."""
    names = results["dataset"]["label_names"]
    if len(names) > MOST_CLASSES:
        return _pairs(report_of(results), names)
    rows = confusions(report_of(results))
    counts = np.array([[row.get(i, 0) for i in range(len(rows))] for row in rows])  # (C, C)
    return table(counts, names)


def counted(true: int, predicted: int, results: Results) -> tuple[int, str]:
    """What a cell counts, as a number and in words."""
    names, row = results["dataset"]["label_names"], confusions(report_of(results))[true]
    count, support = row.get(predicted, 0), sum(row.values())
    became = "recognised" if true == predicted else f"taken for {names[predicted]}"
    share = percent(count / max(support, 1))
    return count, f"{count:,} of {support:,} {names[true]} pictures were {became}: {share}"


def table(counts: np.ndarray, names: list[str], pressed: bool = True) -> str:
    """Counts (C, C) by true and by predicted class.

    Args:
        counts: To show.
        names: Of the classes.
        pressed: Whether something answers to a press on a cell.
    """
    worst = int((counts * (1 - np.eye(len(counts), dtype=int))).max(initial=1))

    def cell(true: int, predicted: int, count: int, support: int) -> str:
        """Its colour says how often: the diagonal and the mistakes have a scale each."""
        right = true == predicted
        share = count / max(support if right else worst, 1)
        look = f'class="cell {"right" if right else "wrong"}" style="--share: {share**0.7:.3f}"'
        if not pressed:
            return f"<td><span {look}>{count or ''}</span></td>"
        named = "recognised" if right else f"taken for {names[predicted]}"
        return (
            f'<td><button type="button" data-true="{true}" data-predicted="{predicted}" '
            f'tabindex="{0 if true == predicted == 0 else -1}" aria-pressed="false" {look} '
            f'aria-label="{escape(f"{names[true]} {named}")}: {count}">{count or ""}</button></td>'
        )

    head = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in names)
    rows = ""
    for true, row in enumerate(counts.tolist()):
        cells = "".join(cell(true, i, count, sum(row)) for i, count in enumerate(row))
        name = escape(names[true])
        rows += f'<tr><th scope="row" title="{name}">{name}</th>{cells}</tr>'
    return (
        '<div class="matrix"><p class="axis">Down: what the picture shows. Across: what it was '
        f'called.</p><table data-columns="{len(names)}" style="--classes: {len(names)}">'
        f"<caption>Confusion matrix</caption><thead><tr><td></td>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _pairs(report: dict[str, Any], names: list[str]) -> str:
    place = {name: i for i, name in enumerate(names)}
    items = "".join(
        f'<li><button type="button" data-true="{place[pair["true"]]}" aria-pressed="false" '
        f'data-predicted="{place[pair["predicted"]]}" tabindex="{-1 if i else 0}">'
        f"{escape(pair['true'])} taken for {escape(pair['predicted'])}: {pair['count']:,}"
        "</button></li>"
        for i, pair in enumerate(report["most_confused"])
    )
    return f'<ul class="pairs" data-columns="1">{items}</ul>'
