"""How far a share of some images can be trusted: the fewer they are, the less."""

import math
from collections.abc import Collection
from statistics import NormalDist
from typing import Any


def interval(share: float, count: int, outside: float = 0.05) -> tuple[float, float]:
    """Wilson's interval: between what bounds the truth behind a measured share may lie.

    It stays within 0 and 1, and has a width for shares of 0 and 1. Source: Wilson, "Probable
    inference, the law of succession, and statistical inference", JASA 22, 1927.

    Args:
        share: From 0 to 1.
        count: Images that it was measured on; of none, anything from 0 to 1 may be true.
        outside: Probability that the truth lies outside; the default gives the 95 % interval.
    """
    if count == 0:
        return 0.0, 1.0
    spread = NormalDist().inv_cdf(1 - outside / 2) ** 2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def stands_out(classes: Collection[dict[str, Any]]) -> bool:
    """Whether the class that is found least often is so by more than chance.

    Among many classes that are equally hard some look worse than others: the more there are, the
    farther the worst must be from the best (Bonferroni's correction).

    Args:
        classes: `recall` and `support` of each, as results.json holds them in `per_class`.
    """
    bounds = [interval(row["recall"], row["support"], 0.05 / len(classes)) for row in classes]
    ranked = sorted(zip((row["recall"] for row in classes), bounds, strict=True))
    return ranked[0][1][1] < ranked[-1][1][0]
