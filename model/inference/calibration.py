"""Temperature scaling: probabilities that say how often the network is right.

One number, fitted on images that the network did not learn from, divides all logits: which class
comes first never changes. Source of the scaling: Guo et al., "On calibration of modern neural
networks", ICML 2017, arXiv:1706.04599; of how the number is fitted here: Clarté et al.,
"Expectation consistency for calibration of neural networks", UAI 2023, arXiv:2303.02644.
"""

import math

from torch import Tensor

LOWEST, HIGHEST = 0.01, 100.0
HALVINGS = 60


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Finds the temperature at which the network claims on average what it reaches.

    That is, the mean probability of its answers equals the share of them that is right. This share
    is taken as (right + 1) / (N + 2), Laplace's rule, so that nobody is ever quite certain.

    Args:
        logits: Floats (N, C) of images that the network was not trained on.
        labels: True classes, int64 (N,).

    Returns:
        From 0.01 to 100; below 1 makes probabilities more extreme, above 1 more even.

    Raises:
        ValueError: If there are no images.
    """
    if len(labels) == 0:
        raise ValueError("A temperature needs at least one image; there are none.")
    logits, labels = logits.cpu().double(), labels.cpu()
    right = int((logits.argmax(dim=1) == labels).sum())
    share = (right + 1) / (len(labels) + 2)
    low, high = math.log(LOWEST), math.log(HIGHEST)
    for _ in range(HALVINGS):  # the mean probability falls as the temperature rises
        middle = (low + high) / 2
        claimed = (logits / math.exp(middle)).softmax(dim=1).amax(dim=1).mean()
        low, high = (middle, high) if claimed > share else (low, middle)
    return round(math.exp(high), 6)
