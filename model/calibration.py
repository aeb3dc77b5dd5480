"""Temperature scaling: probabilities that say how often the network is right.

One number, fitted on images that the network did not learn from, divides all logits: which class
comes first never changes. Source: Guo et al., "On Calibration of Modern Neural Networks", ICML
2017, arXiv:1706.04599.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LOWEST, HIGHEST = 0.01, 100.0


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Finds the temperature with the least negative log-likelihood.

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
    logits, labels = logits.double().cpu(), labels.cpu()
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(logits / log_temperature.exp(), labels)
        value.backward()
        return value

    optimizer.step(loss)
    fitted = math.exp(log_temperature.item())
    return min(max(fitted, LOWEST), HIGHEST)
