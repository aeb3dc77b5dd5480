"""What a share of few images allows to say."""

import pytest

from model.utils.shares import interval, stands_out


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)],
)
def test_intervals_are_wilsons(right: int, count: int, low: float, high: float) -> None:
    """Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I."""
    assert interval(right / count, count) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("worst", "support", "found"), [(0.7, 20, False), (0.7, 200, True)])
def test_a_class_stands_out_of_enough_images(worst: float, support: int, found: bool) -> None:
    best = {"recall": 0.9, "support": support}
    assert stands_out({"recall": worst, "support": support}, best) is found
    assert not stands_out({"recall": 0.0, "support": 0}, best)  # a class without images
