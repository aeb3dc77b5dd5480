"""How often each class was taken for each class, as results.json holds it.

Of few classes it is a list of counts for each true class. Of many, where nearly all counts are 0,
it is a text for each: "3:25 17:1" says that 25 images were taken for class 3, one for class 17.
"""

from typing import Any

import numpy as np

MOST_LISTED = 100  # classes up to which all counts are listed


def confusion_matrix(
    predicted: np.ndarray, labels: np.ndarray, classes: int
) -> list[list[int]] | list[str]:
    """Counts pairs of true and predicted classes, both int64 (N,), in the form of results.json."""
    found: list[dict[int, int]] = [{} for _ in range(classes)]
    pairs, counts = np.unique(labels * classes + predicted, return_counts=True)
    for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
        found[pair // classes][pair % classes] = count
    if classes <= MOST_LISTED:
        return [[row.get(i, 0) for i in range(classes)] for row in found]
    return [" ".join(f"{i}:{count}" for i, count in row.items()) for row in found]


def confusions(report: dict[str, Any]) -> list[dict[int, int]]:
    """Counts above 0 of each true class, by predicted class, from either form.

    Args:
        report: A REPORT of results.json.

    Raises:
        KeyError, TypeError, ValueError: If it holds something else.
    """
    return [
        {int(i): int(count) for i, count in _pairs(row) if int(count)}
        for row in report["confusion_matrix"]
    ]


def _pairs(row: list[int] | str) -> Any:
    if isinstance(row, str):
        return [pair.split(":") for pair in row.split()]
    return enumerate(row)
