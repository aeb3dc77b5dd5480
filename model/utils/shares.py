"""How far a share of some images can be trusted: the fewer they are, the less."""

import math
from typing import Any

Z = 1.96  # standard deviations either way that hold 95 % of a normal distribution


def interval(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval: between what bounds the truth behind a measured share may lie.

    It stays within 0 and 1, and has a width for shares of 0 and 1. Source: Wilson, "Probable
    inference, the law of succession, and statistical inference", JASA 22, 1927.

    Args:
        share: From 0 to 1.
        count: Images that it was measured on; of none, anything from 0 to 1 may be true.
    """
    if count == 0:
        return 0.0, 1.0
    spread = Z**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def stands_out(worst: dict[str, Any], best: dict[str, Any]) -> bool:
    """Whether more than chance makes a class be found less often than another.

    Args:
        worst: Its `recall` and `support`, as results.json holds them for each class.
        best: Those of the other.
    """
    low, high = (interval(row["recall"], row["support"]) for row in (worst, best))
    return low[1] < high[0]
