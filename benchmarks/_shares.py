"""Numbers about few pictures: shares with their uncertainty, and answers among strangers."""

import math
from typing import Any

import numpy as np

BINS = 15  # of the calibration error, as everywhere in the project
Z = 1.959964  # of a normal distribution, 95 % lie nearer to its mean than this


def share(right: np.ndarray) -> dict[str, Any]:
    """How many of some yes-or-no answers (N,) are yes, and between what bounds the truth may lie.

    Returns:
        "count", "right", "share", and "low" and "high" of the 95 % interval; the last three None
        for no answers.
    """
    count, yes = len(right), int(right.sum())
    if count == 0:
        return {"count": 0, "right": 0, "share": None, "low": None, "high": None}
    low, high = wilson(yes, count)
    return {
        "count": count,
        "right": yes,
        "share": round(yes / count, 6),
        "low": round(low, 6),
        "high": round(high, 6),
    }


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA
    1927. Unlike the usual one it stays within 0 and 1, and has a width for shares of 0 and 1.
    """
    p, weight = right / count, Z**2 / count
    middle = (p + weight / 2) / (1 + weight)
    reach = Z * math.sqrt(p * (1 - p) / count + weight / (4 * count)) / (1 + weight)
    return max(middle - reach, 0.0), min(middle + reach, 1.0)


def ccr(known: np.ndarray, right: np.ndarray, strangers: np.ndarray, fpr: float) -> float:
    """Correct classification rate at a rate of false positives.

    The share of known pictures that are named right and score above what is passed by no more than
    the share `fpr` of the strangers. Source: Dhamija et al., "Reducing network agnostophobia",
    NeurIPS 2018, arXiv:1811.04110.

    Args:
        known: Scores of pictures of the classes, (N,); high means known.
        right: Whether each of them is named right, (N,).
        strangers: Scores of pictures of something else, (M,).
        fpr: 0 to 1.
    """
    falling = np.sort(strangers)[::-1]  # (M,)
    allowed = math.floor(fpr * len(strangers) + 1e-9)  # 5 % of 20 are 1, whatever floats say
    threshold = falling[allowed] if allowed < len(falling) else -math.inf
    return round(float(((known > threshold) & right).mean()), 6)


def ece(probability: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error: stated probabilities (N,) against whether they came true (N,).

    Bins of equal width, (low, high]; source: Guo et al., "On calibration of modern neural
    networks", ICML 2017, arXiv:1706.04599.
    """
    edges = np.arange(BINS + 1) / BINS
    which = np.clip(np.searchsorted(edges, probability, side="left") - 1, 0, BINS - 1)  # (N,)
    gaps = np.bincount(which, right - probability, BINS)  # (BINS,)
    return round(float(np.abs(gaps).sum() / len(right)), 6)
